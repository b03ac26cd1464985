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
        if scope["type"] != "http" or "hotplate.rehearsal" in scope:
            await app(scope, receive, send)
            return
        entry = _Entry(scope)

        async def noting(message: Message) -> None:
            await send(message)
            if entry.note(message):
                write(entry)

        try:
            await app(scope, receive, noting)
        finally:
            # A request that hangs has had its answer, and its line, from the time-out.
            if not entry.complete:
                write(entry)

    def write(entry: _Entry) -> None:
        target.write(form(entry.line()) + "\n")
        target.flush()

    return logged


class _Entry:
    """What is known of a request so far."""

    def __init__(self, scope: Scope) -> None:
        self.complete = False
        self._scope = scope
        self._began = time.perf_counter()
        self._status = self._size = 0

    def note(self, message: Message) -> bool:
        """Note what was sent; says whether the response is complete."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return False
        self._size += len(message.get("body", b""))
        self.complete = not message.get("more_body")
        return self.complete

    def line(self) -> Line:
        """Return the line, with the client that trusted proxies vouched for meanwhile."""
        client = self._scope.get("client")
        return Line(
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            client[0] if client else "-",
            self._scope["method"],
            self._scope["path"],
            self._status,
            self._size,
            round(1000 * (time.perf_counter() - self._began), 3),
        )
