"""Calls an ASGI app, on the loop, and mends what the data plane would take amiss."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hotplate.gateway.refusal import refuse
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.gateway.wsgi.host import Host

_log = logging.getLogger("hotplate.app")
_SERVICE_RESTART = 1012  # RFC 6455, section 7.4.2, as IANA registered it; uvicorn closes with it too


class OpenSockets:
    """The WebSocket connections of this worker, so that a drain can ask their clients to come again."""

    def __init__(self) -> None:
        self._sends: set[Send] = set()

    def add(self, send: Send) -> None:
        """Remember an accepted one by its way out."""
        self._sends.add(send)

    def remove(self, send: Send) -> None:
        """Forget one that has ended."""
        self._sends.discard(send)

    async def close(self) -> None:
        """Close them all, as "service restart"."""
        while self._sends:
            send = self._sends.pop()
            try:
                await send({"type": "websocket.close", "code": _SERVICE_RESTART, "reason": "service restart"})
            except Exception as error:  # noqa: BLE001  # Granian raises plain errors for a socket that is gone already
                _log.debug("A WebSocket could not be closed: %r", error)


def adapt(app: ASGIApp, host: Host, state: dict[str, Any] | None, sockets: OpenSockets) -> ASGIApp:
    """Return `app` with its place on the loop.

    Args:
        app: the user's ASGI 3 app.
        host: takes the coroutine to the loop.
        state: what the app's lifespan left in its `state`; each request gets a copy of its own; None
            where another server sees to that.
        sockets: where accepted WebSocket connections are noted.
    """

    async def on_loop(scope: Scope, receive: Receive, send: Send) -> None:
        await host.on_loop()
        exchange = scope.get("hotplate.exchange")
        if exchange is not None:
            exchange.task = asyncio.current_task()  # what the time-out is to cancel
        if state is not None:
            scope["state"] = state.copy()
        if scope["type"] == "websocket":
            await _websocket(app, scope, receive, send, sockets)
        else:
            await _http(app, scope, receive, send)

    return on_loop


async def _http(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    started = False

    async def checked(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start":
            started = True
        # Granian takes any body that is neither bytes nor bytearray for an empty one.
        elif message["type"] == "http.response.body" and isinstance(message.get("body"), memoryview):
            message["body"] = bytes(message["body"])
        await send(message)

    try:
        await app(scope, receive, checked)
    except Exception:
        _log.exception("Exception on %s [%s]", scope["path"], scope["method"])
        if started:
            raise
        await refuse(scope, send, 500, "The application failed to answer.")


async def _websocket(app: ASGIApp, scope: Scope, receive: Receive, send: Send, sockets: OpenSockets) -> None:
    async def noting(message: Message) -> None:
        if message["type"] == "websocket.accept":
            sockets.add(send)
        elif message["type"] == "websocket.close":
            sockets.remove(send)
        await send(message)

    try:
        await app(scope, receive, noting)
    except Exception:
        _log.exception("Exception on %s [WebSocket]", scope["path"])
        raise
    finally:
        sockets.remove(send)
