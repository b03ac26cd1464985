"""An app that hands every request on to another server and its answer back, unchanged: to put a cache before.

The server is named by the environment variable ORIGIN_PORT, on 127.0.0.1. An answer that breaks off is an exception
here, as it is in an app that breaks.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import h11

# Of this connection alone (RFC 9110, section 7.6.1). What an answer lists in Connection is passed on with it: leaving
# that out is the server's work, and one of the things looked at.
_OWN = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
_PERSISTENCE = {b"close", b"keep-alive"}
_PORT = int(os.environ.get("ORIGIN_PORT", "0"))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Forward one request."""
    if scope["type"] == "http":
        reader, writer = await asyncio.open_connection("127.0.0.1", _PORT)
        try:
            await _exchange(scope, receive, send, _Wire(reader, writer))
        finally:
            writer.close()
    elif scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


class _Wire:
    """One HTTP/1.1 connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.CLIENT)

    async def say(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        self._writer.write(self._state.send(event) or b"")
        await self._writer.drain()

    async def hear(self) -> h11.Event:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._reader.read(65536))
        assert not isinstance(event, type)  # PAUSED is for pipelining
        return event


async def _exchange(scope: Any, receive: Any, send: Any, wire: _Wire) -> None:
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    fields = [(name, value) for name, value in scope["headers"] if name not in _OWN]
    if not any(name == b"host" for name, _ in fields):
        fields.append((b"host", b"127.0.0.1"))
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    if body and not any(name == b"content-length" for name, _ in fields):
        fields.append((b"content-length", b"%d" % len(body)))
    await wire.say(h11.Request(method=scope["method"], target=target, headers=[*fields, (b"connection", b"close")]))
    if body:
        await wire.say(h11.Data(data=body))
    await wire.say(h11.EndOfMessage())
    while not isinstance(event := await wire.hear(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            answered = [field for field in event.headers if _passes(*field)]
            await send({"type": "http.response.start", "status": event.status_code, "headers": answered})
        elif isinstance(event, h11.Data):
            await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the server hung up")
    await send({"type": "http.response.body", "body": b""})


def _passes(name: bytes, value: bytes) -> bool:
    return name not in _OWN or (name == b"connection" and value.strip().lower() not in _PERSISTENCE)
