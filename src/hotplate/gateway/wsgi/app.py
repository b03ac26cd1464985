"""Makes an ASGI app of a WSGI app, for the end of the pipeline."""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop as running_loop
from collections.abc import Awaitable
from contextvars import copy_context
from functools import partial

from hotplate.cache.current import MAKING
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send
from hotplate.gateway.wsgi import body
from hotplate.gateway.wsgi.host import Host
from hotplate.gateway.wsgi.response import Response, WSGIApp
from hotplate.settings import Settings

# In these a request without Content-Length and Transfer-Encoding has no body (RFC 9112, section 6.3); in HTTP/2 and 3
# only reading tells.
_SAYS_WHETHER_BODY = frozenset({"1", "1.0", "1.1"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


def adapt(app: WSGIApp, settings: Settings, host: Host) -> ASGIApp:
    """Return an ASGI app that answers with a WSGI app.

    Args:
        app: the WSGI app.
        settings: `spool_size` is read.
        host: moves requests between threads.

    The result raises what `receive` raises while a request's body is read, and `BrokenOffError` when a response cannot
    be brought to its end. Errors of the app are logged as `hotplate.app` and answered with 500.

    Example:
        >>> application = adapt(lambda environ, start_response: [], Settings(), host)  # doctest: +SKIP
    """
    spool_size = settings.spool_size

    def wsgi(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return _no_http(scope, receive, send, host)
        response = Response(app, scope, host, receive, send)
        if "hotplate.head" not in scope and _announces_body(scope):
            return _with_body(response, scope, host, receive, spool_size)
        return _answer(response, scope, host, None)

    return wsgi


async def _with_body(response: Response, scope: Scope, host: Host, receive: Receive, spool_size: int) -> None:
    await host.on_loop()
    content = await body.read(receive, spool_size)
    if content is None:
        return
    try:
        await _answer(response, scope, host, content)
    finally:
        if content.spooled:
            content.file.close()


async def _answer(response: Response, scope: Scope, host: Host, content: body.Body | None) -> None:
    # What the app sets in context variables is this request's, from the app's first line to its close().
    run, respond = copy_context().run, response.respond
    if (answering := scope.get("hotplate.answering")) is not None:
        run(MAKING.set, answering)
    exchange = scope.get("hotplate.exchange")
    try:
        messages = await host.call(
            partial(run, respond, content) if exchange is None else partial(exchange.run, run, respond, content)
        )
        if messages is not None:
            await response.send(messages[0])
            await response.send(messages[1])
    except asyncio.CancelledError:
        response.abandon()
        raise
    finally:
        if response.after:
            if running_loop() is None:  # still in a thread of the pool
                run(response.conclude)
            else:
                await host.call(partial(run, response.conclude))


def _announces_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name in _FRAMING:
            return bool(value != b"0")
    return scope.get("http_version", "1.1") not in _SAYS_WHETHER_BODY


async def _no_http(scope: Scope, receive: Receive, send: Send, host: Host) -> None:
    """Answer what WSGI knows nothing of: a lifespan has nothing to do, a WebSocket is turned away with 403."""
    await host.on_loop()
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
