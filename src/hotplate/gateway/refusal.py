"""One way to refuse a request: a status, one line of text, and the connection closed behind it.

Every layer that answers in the app's place for a fault of the request uses it, so that refusals look alike and none
forgets to close: after a malformed or oversized message nobody knows where the next one starts (RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from hotplate.gateway.types import Receive, Scope, Send

Field = tuple[bytes, bytes]
SERVER: Field = (
    b"server",
    b"hotplate",
)  # or the data plane names itself; no version, as RFC 9110, section 10.2.4 warns

# Seconds to go on reading a body that was refused: in all, and without a byte (nginx' lingering_time and _timeout).
_LINGER, _SILENCE = 30.0, 5.0


class HasLoop(Protocol):
    """Takes a request's coroutine to the event loop."""

    async def on_loop(self) -> None:
        """From here on `receive()` and asyncio may be used."""


class Refusal(NamedTuple):
    """Why a request is not passed on.

    Args:
        status: HTTP status of the answer, 4xx or 5xx.
        text: what is wrong with the request and the rule it breaks, for the person who sent it.

    Example:
        >>> Refusal(400, "Two Host fields (RFC 9112, section 3.2).").status
        400
    """

    status: int
    text: str


async def refuse(
    scope: Scope, send: Send, status: int, text: str, *, close: bool = True, fields: Iterable[Field] = ()
) -> None:
    """Send a refusal as the complete response to `scope`, and ask the peer to go.

    HTTP/1 gets `Connection: close`; HTTP/2 forbids that field and resets streams instead (RFC 9113, section 8.2.2).
    A WebSocket handshake is answered with the same response where the server can, else by closing, which is a 403.

    Args:
        scope: what is refused, HTTP or WebSocket.
        send: the ASGI callable of this request; it must not have been used yet.
        status: HTTP status, 4xx or 5xx.
        text: one sentence for whoever reads the body.
        close: whether the connection ends here; only where the request was whole and understood may it go on.
        fields: further response fields, such as `Allow`.

    Example:
        `await refuse(scope, send, *refusal)` sends a `Refusal`.
    """
    if scope["type"] == "websocket" and "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1002, "reason": text[:120]})
        return
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = text.encode() + b"\n"
    headers = [*_fields(scope, close=close), (b"content-length", b"%d" % len(body)), *fields]
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": b"" if scope.get("method") == "HEAD" else body})


async def refuse_unread(  # what `refuse` takes, and a way to the rest of the body
    scope: Scope, receive: Receive, send: Send, status: int, text: str, host: HasLoop
) -> None:
    """Refuse a request whose body is still arriving, so that its sender gets to read why.

    Closing at once would reset the connection under a client that is sending, and most look for an answer only when
    they are done. So the answer is sent, and what arrives is read and thrown away for as long as nginx does (its
    `lingering_close`), before the connection ends. A client that asked with `Expect: 100-continue` is not sending.

    Args:
        scope: what is refused, HTTP.
        receive: the data plane's, of this request.
        send: as for `refuse`.
        status: HTTP status, 4xx.
        text: one sentence for whoever reads the body.
        host: takes this coroutine to the loop.
    """
    waits = any(name == b"expect" for name, _value in scope["headers"])
    if waits or not scope.get("http_version", "1.1").startswith("1"):
        await refuse(scope, send, status, text)
        return
    await host.on_loop()
    # Without a length the response is not over before its last message, and the data plane goes on reading.
    await send({"type": "http.response.start", "status": status, "headers": _fields(scope, close=True)})
    await send({"type": "http.response.body", "body": text.encode() + b"\n", "more_body": True})
    loop = asyncio.get_running_loop()
    end = loop.time() + _LINGER
    try:
        async with asyncio.timeout(_SILENCE) as silence:
            while (await receive()).get("more_body"):
                silence.reschedule(min(loop.time() + _SILENCE, end))
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


def _fields(scope: Scope, *, close: bool) -> list[Field]:
    fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), SERVER]
    if close and scope.get("http_version", "1.1").startswith("1"):
        fields.append((b"connection", b"close"))
    return fields
