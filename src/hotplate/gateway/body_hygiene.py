"""Watches a request body while it is read, because what is wrong with it shows only then.

The data plane says little (Granian 2.8, pinned by tests/gateway/test_hygiene.py): a chunk with bad framing is an
`http.disconnect` although the peer is still there and waits for an answer; trailers are an empty chunk with more to
come, their fields already thrown away.
"""

from __future__ import annotations

from collections.abc import Awaitable

from hotplate.gateway.limits import Limits, too_large
from hotplate.gateway.refusal import Refusal, refuse
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

CUT_SHORT = Refusal(400, "The body ended before its announced end (RFC 9112, section 8).")
BAD_CHUNKS = Refusal(400, "The chunked body is malformed, or ended before its last chunk (RFC 9112, section 7.1).")
UNANNOUNCED = Refusal(400, "Trailers without a Trailer field that names them (RFC 9110, sections 6.5.1 and 6.6.2).")


class BodyRefusedError(Exception):
    """Raised by `GuardedReceive` instead of a message: answer with `refusal`, if nothing was sent yet, and close.

    Where the peer has gone away the answer reaches nobody; the two cannot be told apart from here.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def guarded(app: ASGIApp, limits: Limits) -> ASGIApp:
    """Return `app` with every body guarded while it is read; requests without one pass untouched.

    Args:
        app: the next layer.
        limits: `limits.body` is the largest body in bytes, 0 for any.
    """

    def guard(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # HTTP/2 announces neither length nor coding: only reading tells whether there is a body.
        if scope["type"] != "http" or ("hotplate.body" not in scope and scope["http_version"] != "2"):
            return app(scope, receive, send)
        return _guarded(app, scope, GuardedReceive(receive, scope, limits), send)

    return guard


async def _guarded(app: ASGIApp, scope: Scope, receive: GuardedReceive, send: Send) -> None:
    try:
        await app(scope, receive, send)
    except BodyRefusedError as refused:
        await refuse(scope, send, *refused.refusal)


class GuardedReceive:
    """An ASGI `receive` that passes only whole, well-framed bodies within the limit.

    After the body's end it passes everything, so that an app may wait for `http.disconnect`.

    Args:
        receive: the data plane's.
        scope: the request; `hygiene` must have seen it.
        limits: `limits.body` is the largest body in bytes, 0 for any.

    Attributes:
        refusal: what was raised, so that it can be answered even where an app swallowed the exception; else None.
            Later calls raise it again.

    Raises:
        BodyRefusedError: the body is malformed, cut short or too large.

    Example:
        `body = await read(GuardedReceive(receive, scope, limits), spool_size)`
    """

    __slots__ = ("_chunked", "_ended", "_left", "_receive", "_trailers", "refusal")

    def __init__(self, receive: Receive, scope: Scope, limits: Limits) -> None:
        self._receive = receive
        trailers = scope.get("hotplate.trailers")
        self._chunked = trailers is not None
        self._trailers = trailers is not False
        self._left = (limits, limits.body)
        self._ended = False
        self.refusal: Refusal | None = None

    async def __call__(self) -> Message:
        """Return the next message."""
        if self.refusal is not None:
            raise BodyRefusedError(self.refusal)
        message = await self._receive()
        if self._ended:
            return message
        self.refusal = self._fault(message)
        if self.refusal is not None:
            raise BodyRefusedError(self.refusal)
        return message

    def _fault(self, message: Message) -> Refusal | None:
        if message["type"] != "http.request":
            return BAD_CHUNKS if self._chunked else CUT_SHORT
        chunk = message.get("body", b"")
        limits, left = self._left
        if limits.body and len(chunk) > left:
            return too_large(limits)
        self._left = (limits, left - len(chunk))
        if not message.get("more_body"):
            self._ended = True
        elif not chunk and not self._trailers:
            return UNANNOUNCED
        return None
