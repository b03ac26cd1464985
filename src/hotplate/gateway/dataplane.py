"""The data plane: Granian's Rust HTTP server inside this worker. The only module that names Granian.

Granian's tokio thread accepts, parses and writes; its one Python thread builds an ASGI scope and calls `_schedule`.
What we rely on beyond its documented interface is pinned by tests/gateway/test_dataplane.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, Self

from granian import _granian
from granian._granian import CallbackScheduler, WorkerSignal
from granian.constants import HTTPModes
from granian.http import HTTP1Settings, HTTP2Settings

from hotplate.gateway.drive import Driver
from hotplate.gateway.types import ASGIApp, Scope
from hotplate.settings import Settings

_log = logging.getLogger("hotplate.gateway")
_rust: Any = _granian  # its stub lags behind what it takes
# It would log a line per worker start and the app's tracebacks a second time.
logging.getLogger("_granian").setLevel(logging.CRITICAL)

_RUNTIME_THREADS = 1  # Rust threads hold no Python; one moves more bytes than the GIL lets one worker produce
_FILE_THREADS = 4  # tokio's own blocking threads, used here to send files (pathsend)
_SPARE_DESCRIPTORS = 128  # for the app's own files, databases and logs
_MOST_CONNECTIONS = 16384
_WEBSOCKETS = True


class _Watcher(Protocol):
    """A request, as Granian hands it over."""

    scope: Scope
    proto: Any  # `receive` and `send`

    def done(self) -> None:
        """Answer 500 where nothing was sent, and let go of the connection."""


class _Scheduler(CallbackScheduler):
    """Granian's hook for each request, without its one coroutine and one wake-up of the loop per request."""

    __slots__ = ()

    def __new__(cls, loop: asyncio.AbstractEventLoop, schedule: Callable[[_Watcher], None]) -> Self:
        return super().__new__(cls, loop, schedule, None, None, None)  # type: ignore[call-arg]  # Rust's own

    def __init__(self, _loop: asyncio.AbstractEventLoop, schedule: Callable[[_Watcher], None]) -> None:
        super().__init__()
        self._schedule_fn = schedule


class DataPlane:
    """Serves `app` on listeners that somebody else opened, in the running event loop.

    Args:
        app: the pipeline.
        driver: starts and moves each request's coroutine.
        settings: HTTP versions, TLS files and limits.
        broken_off: told of each request that ended in an error.
    """

    def __init__(
        self, app: ASGIApp, driver: Driver, settings: Settings, broken_off: Callable[[Scope, BaseException], None]
    ) -> None:
        self._app = app
        self._broken_off = broken_off
        self._driver = driver
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._accepting: list[int] = []
        self._signals: list[WorkerSignal] = []
        self._ended: list[asyncio.Future[None]] = []

    def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Accept connections from `listeners`; returns at once."""
        most = _connections_allowed() // max(1, len(listeners))
        for number, listener in enumerate(listeners, 1):
            fd = os.dup(listener.fileno())
            os.set_blocking(fd, False)
            is_unix = listener.family == socket.AF_UNIX
            holder = _rust.SocketHolder(fd, is_unix, self._settings.backlog)
            worker = self._worker(number, holder, most)
            signal, ended = WorkerSignal(), self._loop.create_future()
            signal.add_cb(self._teller(ended))
            serve = worker.serve_async_uds if is_unix else worker.serve_async
            serve(_Scheduler(self._loop, self._schedule), self._loop, signal)
            self._accepting.append(fd)
            self._signals.append(signal)
            self._ended.append(ended)

    def _worker(self, number: int, holder: object, most: int) -> Any:  # noqa: ANN401  # Granian's, see `_rust`
        settings = self._settings
        tls: tuple[object, ...] = (
            bool(settings.cert),
            settings.cert or None,
            settings.key or None,
            None,
            "tls1.2",
            None,
            [],
            False,
        )
        return _rust.ASGIWorker(
            number,
            (None, holder),
            None,
            _RUNTIME_THREADS,
            _FILE_THREADS,
            1,
            30,
            most,
            HTTPModes(settings.http),
            HTTP1Settings(max_buffer_size=max(8192, settings.limit_request_line + settings.limit_header_size)),
            HTTP2Settings(max_headers_size=settings.limit_header_size),
            _WEBSOCKETS,
            None,
            *tls,
            (None, None),
        )

    def _teller(self, ended: asyncio.Future[None]) -> Callable[[], None]:
        def settle() -> None:
            if not ended.done():
                ended.set_result(None)

        def tell() -> None:
            self._loop.call_soon_threadsafe(settle)

        return tell

    def _schedule(self, watcher: _Watcher) -> None:
        # An exception must not leave here: Rust does not look.
        try:
            proto, scope = watcher.proto, watcher.scope
            coroutine: Coroutine[Any, Any, None] = self._app(scope, proto.receive, proto.send)  # type: ignore[assignment]  # the pipeline is made of coroutine functions

            def done(error: BaseException | None) -> None:
                if error is not None:
                    self._broken_off(scope, error)
                watcher.done()

            self._driver.start(coroutine, done)
        except BaseException:  # noqa: BLE001  # see above
            _log.exception("A request could not be begun")
            watcher.done()

    def park(self) -> None:
        """Accept no more, and leave what is queued to the other holders of the same listeners.

        A listener that never gets a connection takes the place of each of Granian's descriptors. Closing them instead
        would end the connections too, and only Granian's shutdown stops its accepting.
        """
        for fd in self._accepting:
            with socket.socket() as dummy:
                dummy.bind(("127.0.0.1", 0))
                dummy.listen(1)
                dummy.settimeout(0)  # its accept must not block Granian's only runtime thread
                os.dup2(dummy.fileno(), fd)

    async def close(self) -> None:
        """Let each connection finish the response it is in, and end; HTTP/2 clients are told by GOAWAY."""
        for signal in self._signals:
            signal.set()
        await asyncio.gather(*self._ended)


def _connections_allowed() -> int:
    if sys.platform == "win32":
        return _MOST_CONNECTIONS
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - _SPARE_DESCRIPTORS
    return max(64, min(_MOST_CONNECTIONS, room))
