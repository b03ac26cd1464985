"""`@hotplate.cached` where many ask at once: one computes, nobody waits for ever, nobody gets what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hotplate
from hotplate.cache.stores.base import Look, Token
from hotplate.cache.stores.local import LocalStore
from tests.cache.counted import ALL_KINDS, Counted, hotplate_cache
from tests.cache.opened import open_cache
from tests.support.gateway_process import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("fresh")


def test_threads_compute_once() -> None:
    """Of many threads that ask at once, one computes; the others get their own copies."""
    counted = Counted(False)
    goes_on = threading.Event()
    counted.makes = lambda *_: [goes_on.wait(30), counted.calls]
    flights = hotplate_cache().flights
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(counted, 1) for _ in range(40)]
        wait_until(lambda: flights.waiting == 39, what="all others wait")
        goes_on.set()
        got = [each.result() for each in asked]
    assert got == [[True, 1]] * 40
    assert len({id(each) for each in got}) == 40


def test_coroutines_compute_once() -> None:
    """Of many coroutines that ask at once, in several loops, one computes."""
    calls: list[int] = []

    @hotplate.cached(ttl=60)
    async def slow() -> int:
        calls.append(1)
        await asyncio.to_thread(wait_until, lambda: hotplate_cache().flights.waiting == 59)
        return len(calls)

    async def many() -> list[int]:
        return await asyncio.gather(*(slow() for _ in range(20)))

    with ThreadPoolExecutor(3) as pool:
        got = [each.result() for each in [pool.submit(asyncio.run, many()) for _ in range(3)]]
    assert got == [[1] * 20] * 3


@ALL_KINDS
def test_a_failure_is_everybodys_who_waited(is_async: bool) -> None:
    """Who waited for a call that failed gets its exception, one of their own; nobody computes it again at once."""
    counted = Counted(is_async)
    flights = hotplate_cache().flights

    def fail(*_: Any) -> None:
        wait_until(lambda: flights.waiting == 4, what="all others wait")
        raise LookupError("gone")

    counted.makes = fail
    with ThreadPoolExecutor(5) as pool:
        errors = [each.exception() for each in [pool.submit(counted, 1) for _ in range(5)]]
    assert {type(each) for each in errors} == {LookupError}
    assert len({id(each) for each in errors}) == 5
    assert counted.calls == 1


def test_a_cancelled_leader_leaves_the_lead() -> None:
    """Where the one who computes is cancelled, one of those who wait takes over."""
    calls = []

    @hotplate.cached(ttl=60)
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(600)
        return len(calls)

    async def main() -> None:
        first = asyncio.create_task(slow())
        await asyncio.sleep(0)
        others = [asyncio.create_task(slow()) for _ in range(3)]
        await asyncio.to_thread(wait_until, lambda: hotplate_cache().flights.waiting == 3)
        first.cancel()
        assert await asyncio.gather(*others) == [2, 2, 2]
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())
    assert (hotplate_cache().flights.waiting, hotplate_cache().flights.leads) == (0, {})


@ALL_KINDS
def test_waiting_is_bounded(is_async: bool) -> None:
    """Who has waited long enough computes alone."""
    hotplate_cache().wait = 0.01
    counted = Counted(is_async)
    goes_on, begun = threading.Event(), threading.Event()

    def slow(*_: Any) -> int:
        number = counted.calls
        begun.set()
        if number == 1:
            assert goes_on.wait(60)
        return number

    counted.makes = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(counted)
        assert begun.wait(60)
        assert pool.submit(counted).result() == 2
        goes_on.set()
        assert first.result() == 1


def test_what_was_begun_before_an_invalidation_is_not_for_those_after() -> None:
    """Who asks after an invalidation, and waits for one who began before it, gets what is computed anew."""
    counted = Counted(False, tags="t")
    goes_on = threading.Event()
    flights = hotplate_cache().flights

    def slow(*_: Any) -> int:
        number = counted.calls
        if number == 1:
            goes_on.wait(60)
        return number

    counted.makes = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(counted)
        wait_until(lambda: counted.calls == 1, what="it computes")
        hotplate.cache.invalidate(tag="t")
        second = pool.submit(counted)
        wait_until(lambda: flights.waiting == 1, what="another waits")
        goes_on.set()
        assert (first.result(), second.result()) == (1, 2)


@ALL_KINDS
def test_a_function_may_call_itself(is_async: bool) -> None:
    """Recursion with other arguments is cached step by step, and with the same ones it does not wait for itself."""
    counted = Counted(False)
    counted.makes = lambda a, _: a if a < 2 else counted.function(a - 1) + counted.function(a - 2)
    assert counted(30) == 832040
    assert counted.calls == 31
    again = Counted(is_async)

    def once_more(*_: Any) -> Any:
        if again.calls == 1 and not is_async:
            return again.function()
        return again.calls

    again.makes = once_more
    assert again() == (1 if is_async else 2)


def test_a_sync_function_does_not_stop_a_loop() -> None:
    """On a loop's thread a sync function computes rather than waits for another thread, which may need that loop."""
    counted = Counted(False)
    begun, goes_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> int:
        number = counted.calls
        begun.set()
        if number == 1:
            goes_on.wait(60)
        return number

    counted.makes = slow

    async def main() -> None:
        thread = asyncio.get_running_loop().run_in_executor(None, counted.function)
        assert await asyncio.to_thread(begun.wait, 60)
        assert counted.function() == 2
        goes_on.set()
        assert await thread == 1

    asyncio.run(main())


class DownStore(LocalStore):
    """A store that cannot be reached."""

    is_shared = True

    def now(self) -> Token:
        """Know nothing."""
        return None  # type: ignore[return-value]  # as stores may; the local one never does

    def look(self, key: bytes) -> Look:
        """Find nothing."""
        return Look(None, None)

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Find nothing."""
        told(self.look(key))


@ALL_KINDS
@pytest.mark.parametrize("is_slow", [False, True])
def test_without_a_store_it_just_runs(is_async: bool, is_slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store cannot be reached a function runs, returns whatever it likes, and nothing is kept."""
    monkeypatch.setattr(DownStore, "is_slow", is_slow)
    cache, _ = open_cache(monkeypatch, DownStore(10_000))
    counted = Counted(is_async)
    counted.makes = lambda *_: object()
    counted(), counted()
    assert counted.calls == 2
    assert cache.flights.leads == {}


@pytest.mark.process
@pytest.mark.parametrize("kind", ["lmdb", "redis"])
def test_500_askers_in_two_processes_compute_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """500 who ask at once for one expired value, in threads and coroutines of two processes, have it computed once."""
    place = {"HOTPLATE_CACHE_DIR": str(tmp_path / "cache")}
    if kind == "redis":
        # A machine that is busy with 500 threads is slower than one that serves.
        place |= {"REDIS_URL": request.getfixturevalue("redis_url"), "HOTPLATE_REDIS_TIMEOUT": "5s"}
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.cache.ask_at_once", str(tmp_path / "log"), "125"],
            cwd=ROOT,
            env={**os.environ, **place, "PYTHONPATH": f"{ROOT}/src:{ROOT}", "HOTPLATE_CACHE_WAIT": "60s"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        # Expired once, by one of them, before anybody asks.
        assert children[0].stdin is not None
        assert children[0].stdout is not None
        children[0].stdin.write("expire\n")
        children[0].stdin.flush()
        assert children[0].stdout.readline() == "expired\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [json.loads(child.communicate(timeout=100)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    lines = (tmp_path / "log").read_text().split()
    assert sorted(lines) == ["async", "expired-async", "expired-sync", "sync"], lines
    assert [len(each) for each in said] == [250, 250]
    assert {value for each in said for value in each} == {"new"}
