"""WebSocket connections of ASGI apps: what the data plane leaves out of the protocol, and their end at a drain.

Granian 2.8 ends a connection whose app failed as if all were well (no code), lets a close wait for the client's next
message while the app waits in `receive`, takes what is sent to a client that has left without a word, and drops the
header fields of an acceptance. Pinned by tests/e2e/test_wire.py and tests/frameworks/test_fastapi.py.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from hotplate.gateway.refusal import SERVER
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("hotplate.app")
# RFC 6455, section 7.4.1 and 7.4.2, as IANA registered them; uvicorn closes with the same.
_INTERNAL_ERROR = 1011
_SERVICE_RESTART = 1012
_RESTART: Message = {"type": "websocket.close", "code": _SERVICE_RESTART, "reason": "service restart"}
# An app that only sends learns of its client's leaving by a look ahead every so many messages.
_LISTEN_EVERY = 8
_DENIAL = "websocket.http.response"  # the extension by which a handshake may be answered with any status


class OpenSockets:
    """The accepted WebSocket connections of this worker, so that a drain can ask their clients to come again.

    Args:
        sends_fields: whether the data plane sends the header fields of an acceptance.
    """

    def __init__(self, *, sends_fields: bool = False) -> None:
        self._open: set[Socket] = set()
        self._restarting = False
        self._sends_fields = sends_fields
        self._told = False

    def acceptance(self, message: Message) -> Message:
        """Return an acceptance as the data plane can send it; says once in the log what it cannot."""
        fields = list(message.get("headers") or ())
        if self._sends_fields or not fields:
            return message
        chosen = [bytes(value).decode("latin-1") for name, value in fields if name.lower() == b"sec-websocket-protocol"]
        if len(chosen) < len(fields) and not self._told:
            self._told = True
            _log.warning("Header fields added to the acceptance of a WebSocket are not sent; this is told once")
        return {**message, "subprotocol": message.get("subprotocol") or (chosen[0] if chosen else None)}

    def add(self, socket: Socket) -> None:
        """Remember an accepted one; it is closed at once when the drain has begun."""
        self._open.add(socket)
        if self._restarting:
            socket.closing = asyncio.get_running_loop().create_task(socket.restart())

    def remove(self, socket: Socket) -> None:
        """Forget one that has ended."""
        self._open.discard(socket)

    async def close(self) -> None:
        """Close them all, and those still to come, as "service restart"."""
        self._restarting = True
        await asyncio.gather(*(socket.restart() for socket in list(self._open)))


class ClientLeftError(ConnectionResetError):
    """What was to be sent reaches nobody; ASGI has an OSError for that ("Send - send event")."""


class Socket:
    """One connection, between the app and the data plane.

    Args:
        receive: the data plane's.
        send: the data plane's.
        sockets: where it is noted once it is accepted.

    Attributes:
        closing: the task that closes it for a drain, held so that it is not collected.
    """

    def __init__(self, receive: Receive, send: Send, sockets: OpenSockets) -> None:
        self._receive = receive
        self._send = send
        self._sockets = sockets
        self._pending: Any = None
        self._ahead: asyncio.Task[Message] | None = None
        self._unheard = 0
        self._closing_now: asyncio.Event | None = None
        self._disconnect: Message = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        self.accepted = self.ended = False
        self.closing: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """Be the app's `receive`."""
        self._unheard = 0
        try:
            if self._ahead is not None:
                message = await asyncio.shield(self._ahead)
                self._ahead = None
                return message
            return self._disconnect if self.ended else await self._next()
        except asyncio.CancelledError:
            if not self.ended:
                raise
            return self._disconnect

    async def _next(self) -> Message:
        self._pending = awaitable = self._receive()
        try:
            message = await awaitable
        finally:
            self._pending = None
        if message["type"] == "websocket.disconnect":
            self._end(message)
        return message

    async def send(self, message: Message) -> None:
        """Be the app's `send`.

        Raises:
            ClientLeftError: the connection has ended.
        """
        kind = message["type"]
        if kind == "websocket.send":
            await self._tell(message)
        elif kind == "websocket.close":
            await self._close(message)
        elif kind == "websocket.accept":
            await self._send(self._sockets.acceptance(message))
            self.accepted = True
            self._sockets.add(self)
        else:
            self.ended = kind == f"{_DENIAL}.body" and not message.get("more_body")
            await self._send(message)

    async def _tell(self, message: Message) -> None:
        if self.ended:
            raise ClientLeftError("the WebSocket connection has ended")
        self._unheard += 1
        if self._unheard % _LISTEN_EVERY == 0:
            if self._pending is None and self._ahead is None:
                self._ahead = asyncio.get_running_loop().create_task(self._next())
            await asyncio.sleep(0)  # sending to nobody never waits, and so would keep the loop from all else
        try:
            await self._send(message)
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            self._end(self._disconnect)
            raise ClientLeftError("the WebSocket connection has ended") from error

    async def restart(self) -> None:
        """Ask the client to come again; the app sees a disconnect."""
        with suppress(Exception):  # Granian raises plain errors for a socket that is gone already
            await self._close(_RESTART)

    async def fail(self, scope: Scope) -> None:
        """End it after an exception of the app."""
        if self.ended:
            return
        if self.accepted or _DENIAL not in (scope.get("extensions") or {}):
            await self._close({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": ""})
            return
        self.ended = True
        await self._send({"type": f"{_DENIAL}.start", "status": 500, "headers": [(b"content-length", b"0"), SERVER]})
        await self._send({"type": f"{_DENIAL}.body", "body": b""})

    async def forget(self) -> None:
        """Let go of it, as the app has returned; the data plane would end it with a code of its own meanwhile."""
        if self._closing_now is not None:
            await self._closing_now.wait()
        self._sockets.remove(self)
        if self._ahead is not None:
            self._ahead.cancel()

    async def _close(self, message: Message) -> None:
        if self.ended:
            return
        closed: Message = {**self._disconnect, "code": message.get("code", 1000), "reason": message.get("reason") or ""}
        pending = self._pending
        self._end(closed)
        # What waits for a message holds the connection's lock, which closing needs.
        if pending is not None and self.accepted and hasattr(pending, "cancel"):
            pending.cancel()
        self._closing_now = asyncio.Event()
        try:
            await self._send({**message, "code": closed["code"], "reason": closed["reason"]})
        finally:
            self._closing_now.set()

    def _end(self, disconnect: Message) -> None:
        self.ended = True
        self._disconnect = disconnect
        self._sockets.remove(self)


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send, sockets: OpenSockets) -> None:
    """Call the app for one WebSocket connection.

    Args:
        app: the user's.
        scope: of type "websocket".
        receive: the data plane's.
        send: the data plane's.
        sockets: where it is noted while it is open.
    """
    socket = Socket(receive, send, sockets)
    try:
        await app(scope, socket.receive, socket.send)
    except Exception as error:
        if _is_about_leaving(error):
            _log.debug("The client left %s [WebSocket]", scope["path"])
            return
        _log.exception("Exception on %s [WebSocket]", scope["path"])
        with suppress(Exception):
            await socket.fail(scope)
        raise
    finally:
        await socket.forget()


def _is_about_leaving(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ClientLeftError):
        error = error.__cause__ or error.__context__  # Starlette makes a WebSocketDisconnect of it
    return error is not None
