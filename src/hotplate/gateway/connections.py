"""The client connections this process holds, seen from outside the data plane, which does not tell.

A draining worker must know when the last one is gone and how long each has been silent, and a stream that failed half
way must be cut so that its client sees the failure. Both follow from the descriptors of the process: a stream socket
with a peer, whose own address is one of the listeners'.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_FOLDER = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.is_dir()), None)
# struct tcp_info (linux/tcp.h): eight bytes, then 32-bit fields, of which the twelfth and thirteenth are
# tcpi_last_data_recv and tcpi_last_ack_recv: a client that only reads acknowledges.
_LAST_HEARD = struct.Struct("=8x44xII")


class Connection(NamedTuple):
    """One client connection.

    Args:
        fd: its descriptor in this process, valid only until the data plane closes it.
        peer: (host, port) of the client, None on a Unix socket.
        silent: seconds since the client last sent or acknowledged something; 0 where the system does not tell.
    """

    fd: int
    peer: tuple[str, int] | None
    silent: float


def held(listeners: Sequence[socket.socket]) -> Iterator[Connection]:
    """Yield the connections accepted from `listeners`."""
    ports = {(lsn.family, lsn.getsockname()[1]) for lsn in listeners if lsn.family != socket.AF_UNIX}
    paths = {lsn.getsockname() for lsn in listeners if lsn.family == socket.AF_UNIX}
    for entry in [*_FOLDER.iterdir()] if _FOLDER is not None else []:
        # A descriptor may be closed by the data plane's threads between any two of these steps.
        with suppress(OSError):
            fd = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as sock:
                here = sock.getsockname()
                if sock.family == socket.AF_UNIX:
                    if here in paths and not _listens(sock):
                        yield Connection(fd, None, 0.0)
                elif (sock.family, here[1]) in ports:
                    peer = sock.getpeername()
                    yield Connection(fd, (peer[0], peer[1]), _silent(sock))


def cut(listeners: Sequence[socket.socket], peer: tuple[str, int]) -> None:
    """Break the connection with `peer` off, so that an unfinished response does not look like a whole one."""
    for connection in held(listeners):
        if connection.peer == peer:
            _shut(connection)


def sweep(listeners: Sequence[socket.socket], limit: float, busy: Container[tuple[str, int] | None]) -> None:
    """End the connections that have been silent for `limit` seconds, but for the `busy` peers.

    Granian ends idle ones itself (`header_read_timeout`), except those that have not yet shown which version of HTTP
    they speak: they would be kept for ever, and a few thousand of them are all that a worker accepts.
    """
    for connection in held(listeners):
        if connection.silent > limit and connection.peer not in busy:
            _shut(connection)


def _shut(connection: Connection) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as sock:
        sock.shutdown(socket.SHUT_RDWR)


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _silent(sock: socket.socket) -> float:
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_HEARD.size)
    return float(min(_LAST_HEARD.unpack(info))) / 1000
