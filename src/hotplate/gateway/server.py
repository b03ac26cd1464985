"""The gateway of one worker: everything between its listeners and the app, behind one face for the supervisor."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from hotplate import __version__
from hotplate.apps.load import LoadedApp
from hotplate.gateway import connections, pipeline
from hotplate.gateway.caching.kit import opened
from hotplate.gateway.closing import Closing
from hotplate.gateway.dataplane import DataPlane
from hotplate.gateway.drive import Driver
from hotplate.gateway.exchange import Exchange
from hotplate.gateway.executor import Pool
from hotplate.gateway.lifespan import Lifespan
from hotplate.gateway.metering import Metering
from hotplate.gateway.rehearsal import rehearse
from hotplate.gateway.traffic import Traffic
from hotplate.gateway.types import Scope
from hotplate.gateway.watchdog import Watchdog
from hotplate.gateway.websockets import OpenSockets
from hotplate.settings import Settings

_log = logging.getLogger("hotplate.gateway")

_LOOK_EVERY = 0.02  # seconds between two counts of the connections while draining
# A keep-alive client that has been silent this long is not about to send: Node's server and Hypercorn end idle
# connections after 5 s, nginx' upstream connections after 60 s.
_LINGER = 5.0
# Longer than Granian's own limit of 30 s, which it does not apply to a connection that has sent nothing yet.
_SILENCE = 60.0
_SWEEP_EVERY = 10.0


class Rehearsed(NamedTuple):
    """How a warm-up request went: its status and duration in seconds, and the error the app logged or raised."""

    status: int
    seconds: float
    error: BaseException | None


class Gateway:
    """Serves one app in this process.

    Args:
        app: the app, loaded.
        settings: as resolved by the master.

    Attributes:
        on_hung: called on the loop when a request passed `settings.timeout`, with its stack; 504 has been sent where
            nothing was sent before.
    """

    def __init__(self, app: LoadedApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self.metering = Metering()
        self.closing = Closing()
        self.on_hung: Callable[[Exchange, str], None] = lambda _exchange, _stack: None
        self._pool = Pool(settings)
        self._sockets = OpenSockets()
        self._listeners: Sequence[socket.socket] = ()
        self._sweeping: asyncio.TimerHandle | None = None

    async def startup(self) -> None:
        """Start the pool and the app's lifespan; raises `HotplateError` when the app refuses to start."""
        loop = asyncio.get_running_loop()
        self._driver = Driver(loop, self._pool)
        self._lifespan = Lifespan(self._app.app, self._app.name) if self._app.kind == "asgi" else None
        if self._lifespan is not None:
            await self._lifespan.startup()
        self.pipeline = pipeline.build(
            self._app,
            self._settings,
            pipeline.Parts(
                host=self._driver,
                metering=self.metering,
                closing=self.closing,
                sockets=self._sockets,
                state=self._lifespan.state if self._lifespan is not None else {},
                cache=opened() if self._settings.cache != "off" else None,
                server=f"hotplate/{__version__}".encode() if self._settings.server_header else b"hotplate",
            ),
        )
        self._plane = DataPlane(self.pipeline, self._driver, self._settings, self._broken_off)
        self._watchdog = Watchdog(self.metering, self._settings.timeout, self._tell_hung)
        self._watchdog.start(loop)

    def _tell_hung(self, exchange: Exchange, stack: str) -> None:
        self.on_hung(exchange, stack)  # looked up now: it may be set after the start

    async def warm(self, path: str) -> Rehearsed:
        """Send one GET for `path` through the whole pipeline, in this process."""
        return Rehearsed(*await rehearse(self._driver, self.pipeline, path))

    def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Accept connections."""
        self._listeners = listeners
        for listener in listeners:  # the first worker's were only bound until now
            listener.listen(self._settings.backlog)
        self.metering.restart()
        self._plane.serve(listeners)
        self._sweep()

    def _sweep(self) -> None:
        busy = {exchange.client for exchange in tuple(self.metering.in_flight)}
        connections.sweep(self._listeners, _SILENCE, busy)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_EVERY, self._sweep)

    def snapshot(self) -> Traffic:
        """What was served and is being served."""
        return self.metering.snapshot(self._pool)

    def shed(self, count: int) -> None:
        """Ask the next `count` HTTP/1 clients to reconnect."""
        self.closing.next(count)

    def park(self) -> None:
        """Take no more connections, and have each answer close its own; what is queued is left to others."""
        self._plane.park()
        self.closing.all()
        # Status pages of tasks go on for minutes, and their readers come back by themselves.
        if (streams := sys.modules.get("hotplate.tasks.stream")) is not None:
            streams.leave()

    async def drain(self, grace: float) -> int:
        """Having parked, finish what is there; returns how many requests had not ended in `grace` seconds.

        Clients on keep-alive connections are told to reconnect with the answer to their next request; closing an idle
        connection under a client that is just sending would lose that request (RFC 9112, section 9.6). HTTP/2 clients
        are told by GOAWAY, which loses nothing (RFC 9113, section 6.8), once no HTTP/1 client is to be waited for.
        """
        loop = asyncio.get_running_loop()
        now = latest = loop.time()
        deadline = now + grace
        with suppress(TimeoutError):  # a client that reads nothing
            await asyncio.wait_for(self._sockets.close(), min(grace, _LINGER))
        # The data plane has no event for a connection that ends.
        while now < deadline and (self.metering.in_flight or self._someone_may_still_send()):
            if any(exchange.http_version != "2" for exchange in tuple(self.metering.in_flight)):
                latest = now
            elif now - latest > _LINGER:
                break  # what goes on is HTTP/2, whose clients only the data plane can tell
            await asyncio.sleep(_LOOK_EVERY)
            now = loop.time()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._plane.close()), max(0.1, deadline - loop.time()))
        return len(self.metering.in_flight)

    def _someone_may_still_send(self) -> bool:
        return any(connection.silent < _LINGER for connection in connections.held(self._listeners))

    async def shutdown(self) -> None:
        """Stop the app's lifespan and the pool."""
        self._watchdog.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._lifespan is not None:
            await self._lifespan.shutdown()
        self._pool.stop()

    def _broken_off(self, scope: Scope, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            _log.debug("Response to %s broken off: %r", scope.get("path"), error)
        exchange = scope.get("hotplate.exchange")
        if exchange is not None and exchange.response_started and exchange.client is not None:
            connections.cut(self._listeners, exchange.client)
