"""Watches a response on its way from the app to the client, and keeps a copy where that may be stored.

The client never waits for the copy: each message goes on at once. Only where what the app says is not for the client
(304 to a question of our own, an error in whose place a stale answer will do) is the response kept back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from hotplate.gateway.scopes import NOTHING
from hotplate.gateway.types import Message, Send

Field = tuple[bytes, bytes]
Fields = list[Field]


class Fate(Enum):
    """What becomes of a response that has started."""

    PASS = "pass"  # noqa: S105  # to the client, and forgotten
    KEEP = "keep"  # to the client, and a copy for us
    HOLD = "hold"  # a copy for us alone


Begun = Callable[[int, Fields], Fate]
Over = Callable[[bytes | None], "Awaitable[None] | None"]


_WITHOUT_CONTENT = frozenset((204, 304))
_UNKEPT = {
    # The data plane sends a file by itself; trailers are not part of what is stored (RFC 9110, section 6.5).
    "http.response.pathsend": "sent as a file",
    "http.response.zerocopysend": "sent as a file",
    "http.response.trailers": "trailers",
}


class Capture:
    """The `send` of an app whose response may be stored.

    Args:
        send: towards the client.
        largest: bytes of a body above which no copy is kept.
        begun: told of the status and fields (lower-case names) when the response starts; decides its fate.
        over: told, once, when the response has come to its end, before its last message goes on: of the copy of its
            body, or None where there is none (see `spoilt`). What it returns is awaited first.
        extra: fields to be added to what the client gets; looked at when `begun` has returned.

    Attributes:
        started: whether the app has begun to answer.
        ended: whether the response has come to its end.
        fate: decided at its start.
        spoilt: why there is no copy although one was wanted; empty while there may be one.
    """

    __slots__ = ("_begun", "_blocks", "_declared", "_extra", "_gone", "_largest", "_over", "_send", "_size", "_status",
                 "ended", "fate", "spoilt", "started")  # fmt: skip

    def __init__(self, send: Send, largest: int, begun: Begun, over: Over, extra: Sequence[Field] = ()) -> None:
        self._send = send
        self._largest = largest
        self._begun = begun
        self._over = over
        self._extra = extra
        self._status = 0
        self._blocks: list[bytes] = []
        self._size = 0
        self._declared: int | None = None
        self.started = self.ended = False
        self.fate = Fate.PASS
        self.spoilt = ""
        self._gone: OSError | None = None

    def __call__(self, message: Message) -> Awaitable[None]:
        """Take one of the app's messages."""
        kind = message["type"]
        if kind == "http.response.body":
            return self._body(message)
        if kind == "http.response.start":
            return self._start(message)
        if kind in _UNKEPT:
            self._spoil(_UNKEPT[kind])
            if kind == "http.response.pathsend":
                return self._end(message)
        return self._on(message)

    def _on(self, message: Message) -> Awaitable[None]:
        return NOTHING if self.fate is Fate.HOLD else self._send(message)

    def _start(self, message: Message) -> Awaitable[None]:
        self.started = True
        self._status = message["status"]
        fields = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
        self._declared = _declared(fields)
        self.fate = self._begun(self._status, fields)
        if self._extra:
            message = {**message, "headers": [*message.get("headers", ()), *self._extra]}
        if self.fate is Fate.PASS:
            return self._send(message)
        if message.get("trailers"):
            self._spoil("trailers")
        elif self._declared is not None and self._declared > self._largest:
            self._spoil("too large")
        return NOTHING if self.fate is Fate.HOLD else self._first(message)

    async def _first(self, message: Message) -> None:
        """Send the start; that the client has gone is said with the body, which may be there already."""
        try:
            await self._send(message)
        except OSError as error:
            self._gone = error

    def _body(self, message: Message) -> Awaitable[None]:
        if self.fate is not Fate.PASS and not self.spoilt:
            block = message.get("body") or b""
            self._size += len(block)
            if self._size > self._largest:
                self._spoil("too large")
            elif block:
                self._blocks.append(bytes(block))
        if not message.get("more_body"):
            return self._end(message)
        if self._gone is not None:
            raise self._gone
        return self._on(message)

    def _end(self, message: Message) -> Awaitable[None]:
        if self.ended:
            return self._on(message)
        self.ended = True
        if self.fate is Fate.PASS:
            return self._send(message)
        if self._declared not in {None, self._size} and self._status not in _WITHOUT_CONTENT:
            self._spoil("not of its declared length")
        blocks, self._blocks = self._blocks, []
        first = self._over(None if self.spoilt else b"".join(blocks))
        if self._gone is not None:
            raise self._gone
        if first is None:
            return self._on(message)
        return first if self.fate is Fate.HOLD else _both(first, self._send, message)

    def _spoil(self, why: str) -> None:
        self.spoilt = self.spoilt or why
        self._blocks = []


def _declared(fields: Fields) -> int | None:
    """Return the declared length of the body: None where none is declared, -1 where it makes no sense."""
    said = {value for name, value in fields if name == b"content-length"}
    if not said:
        return None
    value = said.pop()
    return int(value) if not said and value.isdigit() and len(value) < 20 else -1


async def _both(first: Awaitable[None], send: Send, message: Message) -> None:
    await first
    await send(message)
