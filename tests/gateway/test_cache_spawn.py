"""Work in the background: what nobody waits for runs on the loop, and its end is nobody's trouble."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hotplate.gateway.drive import Driver, Hosted


class Threads:
    """A pool of one thread."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="pool")

    def submit(self, call: Callable[[], object], /) -> None:
        """Run `call` there."""
        self.executor.submit(call)

    def detach(self) -> bool:
        """Do nothing."""
        return False


@pytest.fixture
def pool() -> Iterator[Threads]:
    """A pool, ended with the test."""
    threads = Threads()
    yield threads
    threads.executor.shutdown()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    new = asyncio.new_event_loop()
    thread = threading.Thread(target=new.run_forever, name="loop", daemon=True)
    thread.start()
    yield new
    new.call_soon_threadsafe(new.stop)
    thread.join(30)
    new.close()


def test_the_driver_runs_it_on_the_loop_and_lets_it_hop(loop: asyncio.AbstractEventLoop, pool: Threads) -> None:
    """Spawned in any thread, it begins on the loop, may go to the pool, and come back."""
    driver = Driver(loop, pool)
    places: Future[list[str]] = Future()

    async def work() -> None:
        seen = [threading.current_thread().name]
        await asyncio.sleep(0)
        await driver.call(lambda: seen.append(threading.current_thread().name))
        await driver.on_loop()
        places.set_result([*seen, threading.current_thread().name])

    assert driver.spawn(work())
    assert places.result(30) == ["loop", "pool_0", "loop"]


@pytest.mark.parametrize("hosted", [False, True])
def test_what_it_raises_is_logged(
    hosted: bool, loop: asyncio.AbstractEventLoop, pool: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of work in the background is in the log, and the next work runs."""
    caplog.set_level(logging.ERROR, "hotplate.gateway")
    host = Hosted(lambda: pool) if hosted else Driver(loop, pool)
    done: Future[None] = Future()

    async def fails() -> None:
        raise LookupError("the background's")

    async def works() -> None:
        done.set_result(None)

    async def both() -> None:
        assert host.spawn(fails())
        assert host.spawn(works())

    asyncio.run_coroutine_threadsafe(both(), loop).result(30)
    done.result(30)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def test_hosted_work_may_be_given_from_a_thread_of_the_pool(loop: asyncio.AbstractEventLoop, pool: Threads) -> None:
    """Under another server, too, the thread that runs the app can start something in the background."""
    host = Hosted(lambda: pool)
    place: Future[str] = Future()

    async def work() -> None:
        place.set_result(threading.current_thread().name)

    asyncio.run_coroutine_threadsafe(host.call(lambda: host.spawn(work())), loop).result(30)
    assert place.result(30) == "loop"


@pytest.mark.parametrize("hosted", [False, True])
def test_after_the_end_of_the_loop_nothing_is_begun(hosted: bool, pool: Threads) -> None:
    """A worker that has ended says so, and no coroutine is left unawaited."""
    over = asyncio.new_event_loop()
    over.close()
    host = Hosted(lambda: pool) if hosted else Driver(over, pool)

    async def work() -> None:
        raise AssertionError

    assert not host.spawn(work())
