"""Ends requests that run too long: 504 for the client, the stack for the log, word to whoever replaces the worker.

What cannot be ended is the app's thread: Python offers no safe way, so it goes on until its worker is gone, and what it
sends is dropped. A coroutine is cancelled.

Time begins when the request's body is there, and begins anew with each part of a streamed response. While the client is
being waited for, to send its body or to read the response, it stands still: its slowness is no fault of the app. Event
streams and WebSockets are silent by nature and are never ended.

A request that found no thread in time gets 504, too, but says nothing of its worker: those that hold the threads do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from hotplate.gateway.refusal import refuse
from hotplate.gateway.stacks import stack_of

if TYPE_CHECKING:
    from hotplate.gateway.exchange import Exchange
    from hotplate.gateway.metering import Metering

_log = logging.getLogger("hotplate.gateway")

_LOOKS = 10  # per time-out: the end comes at most a tenth late
_LONGEST_PAUSE = 1.0
_TEXT = "The application did not answer in time."

OnHung = Callable[["Exchange", str], None]


class Watchdog:
    """Looks through the requests in flight, on the event loop; costs nothing while none is old.

    Args:
        metering: knows them, oldest first, and the time.
        timeout: seconds a request may run; 0 for ever.
        on_hung: told, on the loop, of each request that hung: the exchange and its stack. 504 has been sent by then
            where nothing was sent before. It is told once per request.
    """

    def __init__(self, metering: Metering, timeout: float, on_hung: OnHung) -> None:
        self._metering = metering
        self._timeout = timeout
        self._on_hung = on_hung
        self._pause = min(_LONGEST_PAUSE, timeout / _LOOKS)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on, in `loop`."""
        self._loop = loop
        if self._timeout > 0:
            self._timer = loop.call_later(self._pause, self._tick, loop)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def overdue(self) -> list[Exchange]:
        """Return the requests that have run too long, oldest first."""
        since = self._since()
        overdue = []
        for exchange in list(self._metering.in_flight):
            if exchange.started > since:
                break
            if exchange.progress <= since and not _may_be_silent(exchange):
                overdue.append(exchange)
        return overdue

    async def end(self, exchange: Exchange) -> None:
        """End one overdue request."""
        began = exchange.thread is not None or exchange.task is not None
        stack = stack_of(exchange)
        if exchange.claim():
            exchange.abandoned = True
            exchange.status = 504
        elif exchange.progress > self._since():
            return  # it has just answered
        self._metering.expire(exchange)
        await self._answer(exchange)
        if exchange.task is not None:
            exchange.task.cancel()
        if began:
            self._on_hung(exchange, stack)

    async def _answer(self, exchange: Exchange) -> None:
        if not exchange.abandoned:
            return
        scope = {"type": "http", "http_version": exchange.http_version, "method": exchange.method}
        try:
            await refuse(scope, exchange.send, 504, _TEXT)
        except Exception as error:  # noqa: BLE001  # data planes raise what they like for a client that is gone
            _log.debug("The client of %s could not be told of its time-out: %r", exchange.path, error)

    def _since(self) -> float:
        return self._metering.clock() - self._timeout

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._pause, self._tick, loop)
        for exchange in self.overdue():
            task = loop.create_task(self.end(exchange))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _may_be_silent(exchange: Exchange) -> bool:
    return exchange.exempt or exchange.sending or exchange.receiving or exchange.is_event_stream()
