"""One connection to Redis or Valkey that never blocks for longer than it is told.

redis-py finds the server and gets in: URL, TLS, password, database. After that its socket is ours, because its own
reading and writing cannot keep several operations under way and a time limit for each.
"""

from __future__ import annotations

import re
import select
import socket
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

CONNECT = 1.0  # seconds to connect and get in; nobody waits for it
_CHUNK = 262_144
_MOVED = re.compile(r"\bMOVED \d+ (\S*):(\d+)")
_INCOMPLETE = object()


class WireError(Exception):
    """The connection is of no use any more; says why, without a secret."""


class Address:
    """Where the server is and how to get in.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py reads them.

    Raises:
        HotplateError: the URL is none of these, or redis-py or hiredis is not installed.

    Attributes:
        shown: the server for people, without user and password.

    Example:
        >>> Address("redis://app:secret@cache:6379/2").shown
        'cache:6379/2'
    """

    def __init__(self, url: str) -> None:
        self._redis = _redis()
        try:
            options = self._redis.connection.parse_url(url)
        except (ValueError, TypeError):
            raise HotplateError(
                "use Redis as the cache's store",
                "its URL has a form that is not known",
                "Set REDIS_URL to a URL such as redis://host:6379/0, rediss://user:password@host or unix:///run/redis.sock.",
                code=ExitCode.USAGE,
            ) from None
        self._class: type[AbstractConnection] = options.pop("connection_class", self._redis.connection.Connection)
        self._options = options | {
            "socket_timeout": CONNECT,
            "socket_connect_timeout": CONNECT,
            "protocol": 2,
        }
        self._elsewhere: tuple[str, int] | None = None
        place = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        self.shown = f"{place}/{options['db']}" if options.get("db") else str(place)

    def heed(self, fault: str) -> bool:
        """Connect from now on where a cluster's node says that our keys are, if it says so; until that fails."""
        found = _MOVED.search(fault)
        if found is None:
            return False
        self._elsewhere = (found[1] or str(self._options.get("host", "localhost")), int(found[2]))
        return True

    def connect(self) -> Wire:
        """Return a new connection.

        Raises:
            WireError: there is none to be had.
        """
        options = dict(self._options)
        if self._elsewhere is not None:
            options["host"], options["port"] = self._elsewhere
        try:
            connection = self._class(**options)
            connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        except (self._redis.exceptions.RedisError, OSError, TypeError, ValueError) as error:
            self._elsewhere = None
            password = str(options.get("password") or "")
            reason = reason_of(error)
            raise WireError(reason.replace(password, "...") if password else reason) from None
        return Wire(connection)


class Wire:
    """A connection that has been made; for one thread.

    Args:
        connection: redis-py's, which speaks RESP2 so far.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        import ssl

        import hiredis

        self._again = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
        self._connection = connection
        # Private, and the same from redis-py 3 to 8; there is no other way to wait for a reply and for time at once.
        self._socket = cast("socket.socket", connection._sock)  # noqa: SLF001  # the reason is the line above
        self._socket.settimeout(0)
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._garbled = hiredis.HiredisError
        self._push = hiredis.PushNotification
        self._outgoing = bytearray()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.received = 0

    def watch(self, descriptor: int) -> None:
        """Have `wait` end also when `descriptor` can be read."""
        self._poll.register(descriptor, select.POLLIN)

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return len(self._outgoing)

    def send(self, data: bytes) -> None:
        """Send, as far as the kernel takes it; the rest is sent by `wait`.

        Raises:
            WireError: the connection is lost.
        """
        self._outgoing += data
        self._flush()

    def wait(self, seconds: float) -> list[Any]:
        """Wait until something arrives, or for `seconds`; returns all replies that are complete.

        Raises:
            WireError: the connection is lost.
        """
        events = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
        self._poll.modify(self._socket, events)
        self._poll.poll(max(0.0, seconds) * 1000)
        self._flush()
        return self._receive()

    def call(self, *command: bytes, seconds: float = CONNECT) -> Any:  # noqa: ANN401  # a reply is anything
        """Send one command and wait for its reply, which may be an error of the server.

        Raises:
            WireError: it did not come in time, or the connection is lost.
        """
        self.send(pack(command))
        until = time.monotonic() + seconds
        while True:
            for reply in self.wait(until - time.monotonic()):
                if not self.is_push(reply):
                    return reply
            if time.monotonic() > until:
                raise WireError(f"no answer within {seconds * 1000:g} ms")

    def is_push(self, reply: object) -> bool:
        """Whether this is no reply but something the server tells on its own (RESP3)."""
        return isinstance(reply, self._push)

    def close(self) -> None:
        """Close it."""
        self._connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py has no types here

    def _flush(self) -> None:
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except self._again:
                return
            except OSError as error:
                raise WireError(reason_of(error)) from None
            del self._outgoing[:sent]

    def _receive(self) -> list[Any]:
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except self._again:
                break
            except OSError as error:
                raise WireError(reason_of(error)) from None
            if not data:
                raise WireError("the server closed the connection")
            self.received += len(data)
            self._reader.feed(data)
            if len(data) < _CHUNK and not hasattr(self._socket, "pending"):
                break
        replies: list[Any] = []
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                replies.append(reply)
        except self._garbled:
            raise WireError("it does not speak Redis's protocol") from None
        return replies


def pack(command: tuple[bytes, ...]) -> bytes:
    r"""Return a command as it is sent.

    Example:
        >>> pack((b"GET", b"a"))
        b'*2\r\n$3\r\nGET\r\n$1\r\na\r\n'
    """
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        parts.append(b"$%d\r\n" % len(part))
        parts.append(part)
        parts.append(b"\r\n")
    return b"".join(parts)


def fault_of(reply: object) -> str:
    """Return the message where `reply` is an error of the server, else nothing."""
    return str(reply) if isinstance(reply, Exception) else ""


def reason_of(error: BaseException) -> str:
    """Return why something failed, in one line of bounded length."""
    return " ".join((str(error) or type(error).__name__).split())[:200].rstrip(".")


def _redis() -> ModuleType:
    try:
        import hiredis  # noqa: F401  # looked for here, so that its absence is told at once and in words
        import redis
        import redis.connection
    except ImportError as error:
        raise HotplateError(
            "use Redis as the cache's store",
            f"the Python package {error.name} is not installed",
            "Type: pip install 'hotplate[redis]'",
            code=ExitCode.MISSING_EXTRA,
        ) from None
    return redis
