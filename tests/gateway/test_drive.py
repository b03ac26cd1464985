"""The driver's promises: a coroutine goes on where it asked to, and its end is always heard."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.drive import Driver, Hosted

HOPS = {"loop": "loop", "pool": "pool", "sleep": "loop"}


class OneThread:
    """A pool of one thread, named."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="pool", daemon=True).start()

    def _run(self) -> None:
        while call := self._calls.get():
            call()

    def submit(self, call: Callable[[], object], /) -> None:
        """Run `call` in the thread."""
        self._calls.put(call)

    def detach(self) -> bool:
        """Do nothing: it is the only thread."""
        return False

    def stop(self) -> None:
        """End the thread."""
        self._calls.put(None)


@pytest.fixture(scope="module")
def pool() -> Iterator[OneThread]:
    """One pool for all."""
    one = OneThread()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    new = asyncio.new_event_loop()
    thread = threading.Thread(target=new.run_forever, name="loop", daemon=True)
    thread.start()
    yield new
    new.call_soon_threadsafe(new.stop)
    thread.join(30)


@pytest.fixture(scope="module")
def driver(loop: asyncio.AbstractEventLoop, pool: OneThread) -> Driver:
    """The driver under test."""
    return Driver(loop, pool)


def driven(driver: Driver, coroutine: Coroutine[Any, Any, None]) -> BaseException | None:
    """Start it here and return how it ended."""
    ended: Future[BaseException | None] = Future()
    driver.start(coroutine, ended.set_result)
    return ended.result(60)


def here() -> str:
    """Name the place this runs in."""
    name = threading.current_thread().name
    return name if name in {"loop", "pool"} else "data plane"


@given(hops=st.lists(st.sampled_from(sorted(HOPS)), max_size=8))
def test_after_every_hop_the_coroutine_is_where_it_asked_to_be(driver: Driver, hops: list[str]) -> None:
    """Any sequence of hops ends in the right place each time, with one holder at a time."""
    places: list[str] = []

    async def request() -> None:
        places.append(here())
        for hop in hops:
            if hop == "pool":
                assert await driver.call(lambda: 7) == 7
            else:
                await driver.on_loop()
                if hop == "sleep":
                    await asyncio.sleep(0)
            places.append(here())

    assert driven(driver, request()) is None
    assert places == ["data plane", *(HOPS[hop] for hop in hops)]


@pytest.mark.parametrize("place", ["data plane", "loop", "pool"])
def test_an_error_is_heard_wherever_it_happens(driver: Driver, place: str) -> None:
    """An exception ends only its request and reaches `done`."""

    async def request() -> None:
        if place == "loop":
            await driver.on_loop()
        if place == "pool":
            await driver.call(lambda: None)
        raise ValueError(place)

    assert isinstance(driven(driver, request()), ValueError)


def test_an_error_in_the_pool_reaches_the_coroutine(driver: Driver) -> None:
    """What the called function raises can be caught around the call."""
    caught: list[str] = []

    async def request() -> None:
        try:
            await driver.call(lambda: 1 // 0)
        except ZeroDivisionError:
            caught.append(here())

    assert driven(driver, request()) is None
    assert caught == ["pool"]


def test_a_pool_thread_waits_for_the_loop(driver: Driver) -> None:
    """`blocking` gives a pool thread what only the loop can await."""
    answers: list[str] = []

    async def place() -> str:
        await asyncio.sleep(0)
        return here()

    async def request() -> None:
        await driver.call(lambda: answers.append(driver.blocking(place)))

    assert driven(driver, request()) is None
    assert answers == ["loop"]


def test_a_cancelled_request_is_heard(driver: Driver, loop: asyncio.AbstractEventLoop) -> None:
    """A task cancelled on the loop ends its coroutine."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def request() -> None:
        await driver.on_loop()
        tasks.append(asyncio.current_task())
        await asyncio.get_running_loop().create_future()

    ended: Future[BaseException | None] = Future()
    driver.start(request(), ended.set_result)

    async def cancel() -> None:
        while not tasks:  # noqa: ASYNC110  # the request says nothing else
            await asyncio.sleep(0)
        assert tasks[0] is not None
        tasks[0].cancel()

    asyncio.run_coroutine_threadsafe(cancel(), loop).result(60)
    assert isinstance(ended.result(60), asyncio.CancelledError)


def test_hosted_keeps_the_same_promises(pool: OneThread) -> None:
    """Under another server's loop, calls run in the pool, errors come back, and a thread may ask the loop."""

    async def place() -> str:
        return here()

    async def request() -> tuple[str, str]:
        hosted = Hosted(lambda: pool)
        await hosted.on_loop()
        with pytest.raises(ZeroDivisionError):
            await hosted.call(lambda: 1 // 0)
        return await hosted.call(here), await hosted.call(lambda: hosted.blocking(place))

    assert asyncio.run(request()) == ("pool", "data plane")
