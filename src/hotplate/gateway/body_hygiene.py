"""Watches a request body while it is read, because what is wrong with it shows only then.

The data plane says little (Granian 2.8, pinned by tests/gateway/test_hygiene.py): a chunk with bad framing is an
`http.disconnect` although the peer is still there and waits for an answer; trailers are an empty chunk with more to
come, their fields already thrown away.
"""

from __future__ import annotations

from collections.abc import Awaitable

from hotplate.gateway.limits import Limits, too_large
from hotplate.gateway.refusal import HasLoop, Refusal, refuse, refuse_unread
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

CUT_SHORT = Refusal(400, "The body ended before its announced end (RFC 9112, section 8).")
BAD_CHUNKS = Refusal(400, "The chunked body is malformed, or ended before its last chunk (RFC 9112, section 7.1).")
UNANNOUNCED = Refusal(400, "Trailers without a Trailer field that names them (RFC 9110, sections 6.5.1 and 6.6.2).")

# Versions in which a request without Content-Length and Transfer-Encoding has no body (RFC 9112, section 6.3).
_ANNOUNCE = frozenset(("1", "1.0", "1.1"))


def guarded(app: ASGIApp, limits: Limits, host: HasLoop | None = None) -> ASGIApp:
    """Return `app` with every body guarded while it is read; requests without one pass untouched.

    To the app a refused body is a client that went away (`http.disconnect`), so that no exception of ours runs through
    its frameworks; what it then says is dropped, and the refusal sent instead.

    Args:
        app: the next layer.
        limits: `limits.body` is the largest body in bytes, 0 for any.
        host: takes a refusal to the loop, so that a client which is still sending gets to read it.
    """

    def guard(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # HTTP/2 announces neither length nor coding: only reading tells whether there is a body.
        if scope["type"] != "http" or ("hotplate.body" not in scope and scope.get("http_version") in _ANNOUNCE):
            return app(scope, receive, send)
        return _guarded(app, scope, GuardedReceive(receive, scope, limits), send, host)

    return guard


async def _guarded(app: ASGIApp, scope: Scope, receive: GuardedReceive, send: Send, host: HasLoop | None) -> None:
    started = False

    async def sending(message: Message) -> None:
        nonlocal started
        if started or receive.refusal is None:
            started = True
            await send(message)

    try:
        await app(scope, receive, sending)
    except Exception:
        if started or receive.refusal is None:
            raise
    if receive.refusal is None or started:
        return
    if receive.refusal.status == 413 and host is not None:
        await refuse_unread(scope, receive.unguarded, send, *receive.refusal, host)
    else:
        await refuse(scope, send, *receive.refusal)


class GuardedReceive:
    """An ASGI `receive` that passes only whole, well-framed bodies within the limit, and ends others early.

    After the body's end it passes everything, so that an app may wait for `http.disconnect`.

    Args:
        receive: the data plane's.
        scope: the request; `hygiene` must have seen it.
        limits: `limits.body` is the largest body in bytes, 0 for any.

    Attributes:
        refusal: why the body was ended early, else None. Where the peer has gone away, sending it reaches nobody; the
            two cannot be told apart from here.
        unguarded: the data plane's `receive`.

    Example:
        `body = await read(GuardedReceive(receive, scope, limits), spool_size)`
    """

    __slots__ = ("_chunked", "_ended", "_left", "_limits", "_trailers", "refusal", "unguarded")

    def __init__(self, receive: Receive, scope: Scope, limits: Limits) -> None:
        self.unguarded = receive
        trailers = scope.get("hotplate.trailers")
        self._chunked = trailers is not None
        self._trailers = trailers is not False
        self._limits = limits
        self._left = limits.body
        self._ended = False
        self.refusal: Refusal | None = None

    async def __call__(self) -> Message:
        """Return the next message, `http.disconnect` where the body is refused."""
        if self.refusal is None:
            message = await self.unguarded()
            if self._ended:
                return message
            self.refusal = self._fault(message)
            if self.refusal is None:
                return message
        return {"type": "http.disconnect"}

    def _fault(self, message: Message) -> Refusal | None:
        if message["type"] != "http.request":
            return BAD_CHUNKS if self._chunked else CUT_SHORT
        chunk = message.get("body", b"")
        if self._limits.body and len(chunk) > self._left:
            return too_large(self._limits)
        self._left -= len(chunk)
        if not message.get("more_body"):
            self._ended = True
        elif not chunk and not self._trailers:
            return UNANNOUNCED
        return None
