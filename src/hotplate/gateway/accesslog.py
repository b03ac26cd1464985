"""One line per request, when asked for: `--access-log`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.settings import Settings


class Line(msgspec.Struct, frozen=True):
    """What is told of a request. No query and no header fields: both carry secrets.

    Args:
        time: when it was answered, RFC 3339 in UTC.
        client: address of the client, as trusted proxies tell it; "-" on a Unix socket.
        method: of the request.
        path: without the query.
        status: of the response, 0 where none was sent.
        bytes: of the response's body.
        ms: from its arrival to its last byte.
    """

    time: str
    client: str
    method: str
    path: str
    status: int
    bytes: int
    ms: float

    def text(self) -> str:
        """Return it for people."""
        path = self.path.encode("unicode_escape").decode()  # a path may hold line ends
        return f"{self.time} {self.client} {self.method} {path} {self.status} {self.bytes} B {self.ms:.1f} ms"

    def json(self) -> str:
        """Return it for a collector."""
        return msgspec.json.encode(self).decode()


def access_log(app: ASGIApp, settings: Settings, out: TextIO | None = None) -> ASGIApp:
    """Return `app` with its requests logged; the same `app` when that was not asked for.

    Args:
        app: the next layer.
        settings: `access_log` and `log_format` are read.
        out: where the lines go; standard output by default, so that errors can be kept apart from it.
    """
    if not settings.access_log:
        return app
    form: Callable[[Line], str] = Line.json if settings.log_format == "json" else Line.text
    target = out or sys.stdout

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began = time.perf_counter()
        status = size = 0

        async def noting(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, noting)
        finally:
            client = scope.get("client")
            line = Line(
                datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                client[0] if client else "-",
                scope["method"],
                scope["path"],
                status,
                size,
                round(1000 * (time.perf_counter() - began), 3),
            )
            target.write(form(line) + "\n")
            target.flush()

    return logged
