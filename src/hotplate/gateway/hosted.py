"""The same pipeline for a server of the user's own choice: uvicorn, hypercorn, gunicorn's ASGI worker."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hotplate.apps.kind import detect
from hotplate.apps.load import LoadedApp
from hotplate.errors import ExitCode, HotplateError
from hotplate.gateway import pipeline
from hotplate.gateway.caching.kit import opened
from hotplate.gateway.closing import Closing
from hotplate.gateway.drive import Hosted
from hotplate.gateway.exchange import Exchange
from hotplate.gateway.executor import Pool
from hotplate.gateway.metering import Metering
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send
from hotplate.gateway.watchdog import Watchdog
from hotplate.gateway.websockets import OpenSockets
from hotplate.settings import Settings, resolve

_log = logging.getLogger("hotplate.gateway")


def asgi(app: Callable[..., Any], **settings: Any) -> ASGIApp:  # noqa: ANN401  # a setting's type is the table's
    """Wrap any WSGI or ASGI app in Hotplate's pipeline, for a server other than `hotplate run`.

    Nothing is started before the first request, so the result may be made before a server forks its workers. Worker
    processes, listening, reload and drain are that server's business.

    Args:
        app: a Flask, FastAPI or Django app, or any other WSGI or ASGI callable.
        settings: any of docs/settings.md that concern requests, such as `threads=8` or `limit_body="20MiB"`.

    Raises:
        HotplateError: `app` is neither, or a setting cannot be used.
        TypeError: a setting has no such name.

    Example:
        >>> application = asgi(lambda environ, start_response: [], threads=4)
    """
    protocol = detect(app).protocol
    if protocol is None:
        raise HotplateError(
            f"wrap {app!r}",
            "it is neither a WSGI nor an ASGI app",
            "Give the app itself, such as hotplate.asgi(app).",
            code=ExitCode.ATTRIBUTE_MISSING,
        )
    name = getattr(app, "__name__", type(app).__name__)
    loaded = LoadedApp(app, name, protocol, None, "", "", ())
    return _Hosted(loaded, resolve(settings, {}, Path("/nonexistent")).settings)


def _log_hung(exchange: Exchange, stack: str) -> None:
    _log.error("%s %s did not end in time; it hangs here:\n%s", exchange.method, exchange.path, stack)


class _Hosted:
    def __init__(self, loaded: LoadedApp, settings: Settings) -> None:
        self._loaded = loaded
        self._settings = settings
        self._begin = threading.Lock()
        self._pool: Pool | None = None
        self._pipeline: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        await (self._pipeline or self._built())(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._loaded.kind == "asgi":
            await self._loaded.app(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    def _built(self) -> ASGIApp:
        with self._begin:
            if self._pipeline is None:
                metering = Metering()
                Watchdog(metering, self._settings.timeout, _log_hung).start(asyncio.get_running_loop())
                parts = pipeline.Parts(
                    host=Hosted(self._running_pool),
                    metering=metering,
                    closing=Closing(),
                    sockets=OpenSockets(sends_fields=True),
                    state=None,
                    cache=opened() if self._settings.cache != "off" else None,
                )
                self._pipeline = pipeline.build(self._loaded, self._settings, parts)
            return self._pipeline

    def _running_pool(self) -> Pool:
        with self._begin:
            if self._pool is None:
                self._pool = Pool(self._settings)
            return self._pool
