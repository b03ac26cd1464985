"""One way to refuse a request: a status, one line of text, and the connection closed behind it.

Every layer that answers in the app's place for a fault of the request uses it, so that refusals look alike and none
forgets to close: after a malformed or oversized message nobody knows where the next one starts (RFC 9112, section 9.6).
"""

from collections.abc import Iterable
from typing import NamedTuple

from hotplate.gateway.types import Scope, Send

Field = tuple[bytes, bytes]
SERVER: Field = (b"server", b"hotplate")  # or the data plane names itself; no version, as RFC 9110, section 10.2.4 warns


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
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        SERVER,
        *fields,
    ]
    if close and scope.get("http_version", "1.1").startswith("1"):
        headers.append((b"connection", b"close"))
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": b"" if scope.get("method") == "HEAD" else body})
