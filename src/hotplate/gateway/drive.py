"""Drives the pipeline's coroutines from whichever thread holds them: data plane, event loop or pool.

The data plane calls us on a thread of its own. Waking the event loop for each request, and a pool thread after it,
costs two hand-overs of the GIL; a health probe, a refusal or (later) a cache hit needs neither, and a WSGI view needs
one. So the pipeline is written once, as ordinary ASGI coroutines, and says where it must go on:

    await host.on_loop()         as a task of the worker's event loop: `receive()`, timers, ASGI apps
    await host.call(function)    in a thread of the pool: anything that may block

A coroutine is only ever held by one thread; a hop hands it over. Under another ASGI server, where the coroutine belongs
to that server's task, `Hosted` keeps the same promises with the loop's own means.

Measured (2 workers, Flask hello world, wrk with 64 connections, three interleaved rounds, medians): one hop into a
single pool thread 12.9k requests/s, run inline on the loop 11.2k, Granian's own WSGI server with one thread 11.6k.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

_log = logging.getLogger("hotplate.gateway")

Result = TypeVar("Result")
Held = Coroutine[Any, Any, None]
Done = Callable[[BaseException | None], None]


class _Hop:
    """Yielded up to the driver by a coroutine that must go on elsewhere."""

    def __await__(self) -> Generator[_Hop, None, None]:
        yield self


_LOOP = _Hop()
_POOL = _Hop()


class Submits(Protocol):
    """What the driver asks of the pool."""

    def submit(self, call: Callable[[], object], /) -> None:
        """Run `call` in a thread, later."""

    def detach(self) -> bool:
        """Make the calling thread the running call's own."""


class Driver:
    """Drives coroutines for the embedded data plane.

    Args:
        loop: the worker's event loop.
        pool: the worker's thread pool.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Submits) -> None:
        self._loop = loop
        self._pool = pool
        self._inbox: deque[tuple[Held, Done, object]] = deque()
        self._woken = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Held, done: Done) -> None:
        """Run `coroutine` until its end or first hop, in this thread; `done` hears how it ended, in any thread."""
        try:
            asked = coroutine.send(None)
        except StopIteration:
            done(None)
        except BaseException as error:  # noqa: BLE001  # whatever ends a request must end only that request
            done(error)
        else:
            if asked is _POOL:
                self._pool.submit(functools.partial(self.start, coroutine, done))
            else:
                self._send_to_loop(coroutine, done, asked)

    def _send_to_loop(self, coroutine: Held, done: Done, asked: object) -> None:
        # One wake-up serves all that queue before the loop gets to it. First queued, then asked whether the loop knows;
        # it forgets before it looks, so that nothing is left lying.
        self._inbox.append((coroutine, done, asked))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._take_over)

    def _take_over(self) -> None:
        self._woken = False
        while self._inbox:
            task = self._loop.create_task(self._hold(*self._inbox.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hold(self, coroutine: Held, done: Done, asked: object) -> None:
        try:
            hop = await _Adopted(coroutine, asked)
        except BaseException as error:  # noqa: BLE001  # as in `start`; a cancelled request included
            done(error)
        else:
            if hop is _POOL:
                self._pool.submit(functools.partial(self.start, coroutine, done))
            else:
                done(None)

    def spawn(self, coroutine: Held) -> bool:
        """See `Background.spawn`."""
        try:
            self._send_to_loop(coroutine, _tell, _LOOP)
        except RuntimeError:  # the loop is closed: the worker is leaving
            self._inbox.clear()
            coroutine.close()
            return False
        return True

    async def on_loop(self) -> None:
        """See `Host.on_loop`."""
        await _LOOP

    async def call(self, function: Callable[[], Result]) -> Result:
        """See `Host.call`; the coroutine itself goes on in that thread, so what follows costs no further hop."""
        await _POOL
        return function()

    def blocking(self, awaitable: Callable[[], Awaitable[Result]]) -> Result:
        """See `Host.blocking`."""
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result()

    def detach(self) -> None:
        """See `Host.detach`."""
        self._pool.detach()


class _Adopted:
    """Lets a task drive a coroutine that was begun elsewhere, up to its end or its next hop into the pool."""

    def __init__(self, coroutine: Held, asked: object) -> None:
        self._coroutine = coroutine
        self._asked = asked

    def __await__(self) -> Generator[object, Any, _Hop | None]:
        coroutine, asked = self._coroutine, self._asked
        try:
            while asked is not _POOL:
                if asked is _LOOP:
                    asked = coroutine.send(None)
                    continue
                try:
                    answer = yield asked
                except BaseException as error:  # noqa: BLE001  # a cancellation belongs to the coroutine
                    asked = coroutine.throw(error)
                else:
                    asked = coroutine.send(answer)
        except StopIteration:
            return None
        return _POOL


class Hosted:
    """The same promises under somebody else's ASGI server, whose task holds the coroutine.

    Args:
        pool: gives the thread pool; asked at the first request, so that none is started before a fork.
    """

    def __init__(self, pool: Callable[[], Submits]) -> None:
        self._pool = pool
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Held) -> bool:
        """See `Background.spawn`."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        loop = here or self._loop
        if loop is None or loop.is_closed():  # before the first request, or after the last
            coroutine.close()
            return False
        if loop is here:
            self._hold(coroutine)
        else:
            loop.call_soon_threadsafe(self._hold, coroutine)
        return True

    def _hold(self, coroutine: Held) -> None:
        task = asyncio.get_running_loop().create_task(_heard(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def on_loop(self) -> None:
        """See `Host.on_loop`: it is there already."""

    async def call(self, function: Callable[[], Result]) -> Result:
        """See `Host.call`."""
        self._loop = loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def run() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
                loop.call_soon_threadsafe(_settle, outcome, error, None)
            else:
                loop.call_soon_threadsafe(_settle, outcome, None, result)

        self._pool().submit(run)
        return await outcome

    def blocking(self, awaitable: Callable[[], Awaitable[Result]]) -> Result:
        """See `Host.blocking`."""
        if self._loop is None:
            raise RuntimeError("blocking() is for what call() runs")
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result()

    def detach(self) -> None:
        """See `Host.detach`."""
        self._pool().detach()


async def _heard(coroutine: Held) -> None:
    try:
        await coroutine
    except Exception as error:  # noqa: BLE001  # told as the driver tells it
        _tell(error)


def _tell(error: BaseException | None) -> None:
    """Log what ended work in the background; a cancellation is how a worker leaves."""
    if error is not None and not isinstance(error, asyncio.CancelledError):
        _log.error("Work in the background failed", exc_info=error)


async def _awaited(awaitable: Callable[[], Awaitable[Result]]) -> Result:
    return await awaitable()


def _settle(outcome: asyncio.Future[Result], error: BaseException | None, result: Result | None) -> None:
    if outcome.cancelled():
        return
    if error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(result)  # type: ignore[arg-type]  # None only where Result admits it
