"""A request and its client without a connection, for tests of single layers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

OK = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
CLOSE = (b"connection", b"close")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def scope_of(path: str = "/", **others: object) -> Scope:
    """Return the scope of a GET."""
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "headers": [],
        "client": ("10.0.0.1", 4000),
    }
    scope.update(others)
    return scope


class Wire:
    """What the client sends and gets."""

    def __init__(self, *incoming: Message) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        """Give the next message."""
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        """Take one."""
        self.sent.append(message)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Header fields of the response."""
        return list(self.sent[0]["headers"])


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Drive a coroutine that waits for nothing, as the data plane's thread does, without a loop."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def ask(app: ASGIApp, scope: Scope, wire: Wire) -> None:
    """Send one request through `app`."""
    run(app(scope, wire.receive, wire.send))  # type: ignore[arg-type]  # layers are coroutine functions


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": list(OK)})
    await send({"type": "http.response.body", "body": b"ok"})


def never() -> bool:
    """Close no connection."""
    return False
