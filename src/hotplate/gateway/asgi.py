"""Calls an ASGI app, on the loop, and mends what the data plane would take amiss."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hotplate.cache.current import MAKING
from hotplate.gateway import websockets
from hotplate.gateway.refusal import refuse
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.gateway.websockets import OpenSockets
from hotplate.gateway.wsgi.host import Host

_log = logging.getLogger("hotplate.app")
_LAST = frozenset(("http.response.body", "http.response.pathsend"))


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
        MAKING.set(scope.get("hotplate.answering"))  # for as long as this task lives
        if state is not None:
            scope["state"] = state.copy()
        if scope["type"] == "websocket":
            await websockets.serve(app, scope, receive, send, sockets)
        else:
            await _http(app, scope, receive, send)

    return on_loop


async def _http(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    started = ended = False

    async def checked(message: Message) -> None:
        nonlocal started, ended
        if message["type"] == "http.response.start":
            started = True
        # Granian takes any body that is neither bytes nor bytearray for an empty one.
        elif message["type"] == "http.response.body" and isinstance(message.get("body"), memoryview):
            message["body"] = bytes(message["body"])
        await send(message)
        ended = ended or (message["type"] in _LAST and not message.get("more_body"))

    try:
        await app(scope, receive, checked)
    except Exception:
        _log.exception("Exception on %s [%s]", scope["path"], scope["method"])
        if not started:
            await refuse(scope, send, 500, "The application failed to answer.")
        # Starlette raises again after it has answered 500, and background tasks may fail: such a response is whole.
        elif not ended:
            raise
