"""A line of talk between two processes: length-framed JSON over a socket pair, with sockets attached where needed.

The fds of a message travel with its first byte (SCM_RIGHTS), so they arrive no later than the message; a record says
how many are its own. Reading never blocks the caller's loop: `feed` takes what is there and returns whole messages.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

_HEADER = struct.Struct("!IB")  # bytes that follow, sockets that came along
_CHUNK = 65536
_LONGEST = 16 * 2**20  # bytes; a status or a traceback is a few thousand
_MOST_SOCKETS = 64  # SCM_MAX_FD is 253 on Linux; a bind list is never this long

Sent = TypeVar("Sent")
Received = TypeVar("Received")


class Closed(Exception):  # noqa: N818  # a fact, not a fault
    """The other end is gone."""


class Channel(Generic[Sent, Received]):
    """One end of a line of talk.

    Args:
        sock: this end of a stream socket pair.
        receives: the type (a union of tagged structs) of what the other end says.

    Example:
        >>> mine, theirs = socket.socketpair()
        >>> channel = Channel[str, int](mine, int)
    """

    def __init__(self, sock: socket.socket, receives: object) -> None:
        self.sock = sock
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[Received] = msgspec.json.Decoder(receives)
        self._buffer = bytearray()
        self._sockets: list[int] = []

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self.sock.fileno()

    def send(self, message: Sent, fds: Sequence[int] = ()) -> None:
        """Say `message`, handing over duplicates of `fds`; raises `Closed` when nobody is left to hear it."""
        body = self._encoder.encode(message)
        data = _HEADER.pack(len(body), len(fds)) + body
        try:
            sent = socket.send_fds(self.sock, [data], list(fds)) if fds else self.sock.send(data)
            while sent < len(data):
                sent += self.sock.send(data[sent:])
        except OSError as error:
            raise Closed from error

    def feed(self) -> Iterator[tuple[Received, list[int]]]:
        """Read once and yield each whole message with its descriptors.

        Raises:
            Closed: the end of the talk.
            ValueError: what came is no message; the talk cannot go on.
        """
        try:
            data, ancillary, _flags, _address = self.sock.recvmsg(
                _CHUNK, socket.CMSG_SPACE(_MOST_SOCKETS * array.array("i").itemsize)
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise Closed from error
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
                self._sockets.extend(fds)
        if not data:
            raise Closed
        self._buffer += data
        yield from self._whole_messages()

    def _whole_messages(self) -> Iterator[tuple[Received, list[int]]]:
        while len(self._buffer) >= _HEADER.size:
            length, count = _HEADER.unpack_from(self._buffer)
            if length > _LONGEST:
                raise ValueError(f"a message of {length} bytes was announced")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            fds, self._sockets = self._sockets[:count], self._sockets[count:]
            yield self._decoder.decode(body), fds

    def close(self) -> None:
        """End the talk."""
        for descriptor in self._sockets:
            os.close(descriptor)
        self._sockets = []
        self.sock.close()
