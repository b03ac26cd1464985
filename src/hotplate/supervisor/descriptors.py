"""Open descriptors that a fork would share, and what to call them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# Assigned ports (IANA) of the servers an app connects to at import.
_SERVERS = {
    "1433": "SQL Server",
    "1521": "Oracle",
    "3306": "MySQL",
    "5432": "PostgreSQL",
    "5672": "RabbitMQ",
    "6379": "Redis",
    "8125": "StatsD",
    "9092": "Kafka",
    "9200": "Elasticsearch",
    "11211": "memcached",
    "27017": "MongoDB",
}
_SQLITE_MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, section 1.3


class Descriptor(NamedTuple):
    """An open descriptor: its number, and what it leads to (device and inode), since numbers are used again."""

    number: int
    device: int
    inode: int


def held() -> Iterator[Descriptor]:
    """Yield the descriptors of this process."""
    for number in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        with suppress(OSError):  # the listing's own is closed by now
            info = os.fstat(number)
            yield Descriptor(number, info.st_dev, info.st_ino)


def described(before: frozenset[Descriptor]) -> list[str]:
    """Return a phrase for each descriptor, not among `before`, that processes must not share."""
    numbers = sorted(each.number for each in set(held()) - before)
    if any(_target(number) == "anon_inode:[eventpoll]" for number in numbers):
        # An event loop wakes itself through a pair of sockets, which come with it.
        numbers = [number for number in numbers if not _is_unnamed_pair(number)]
    phrases = [phrase for phrase in map(_phrase, numbers) if phrase]
    return list(dict.fromkeys(phrases))


def _phrase(number: int) -> str:
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        return ""
    if stat.S_ISSOCK(mode):
        return _socket_phrase(number)
    if stat.S_ISREG(mode):
        return _sqlite_phrase(number)
    return "an event loop or selector (epoll)" if _target(number) == "anon_inode:[eventpoll]" else ""


def _socket_phrase(number: int) -> str:
    with socket.socket(fileno=os.dup(number)) as sock:
        if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_DGRAM:
            return ""  # syslog's: each message is whole by itself and nothing is ever read
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return f"a listening socket on {_address(sock.getsockname())}"
        try:
            peer = sock.getpeername()
        except OSError:
            return "an open socket"
    address = _address(peer)
    if not address:
        return "an open pair of sockets"
    port = str(peer[1]) if isinstance(peer, tuple) else address.rpartition(".")[2]
    likely = _SERVERS.get(port, "")
    return f"a connection to {address}" + (f" ({likely}?)" if likely else "")


def _sqlite_phrase(number: int) -> str:
    try:
        if os.pread(number, len(_SQLITE_MAGIC), 0) != _SQLITE_MAGIC:
            return ""
    except OSError:  # open for writing only
        return ""
    return f"an open SQLite database {_target(number)}".rstrip()


def _address(address: object) -> str:
    if isinstance(address, tuple):
        host = str(address[0])
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    name = address.decode(errors="replace") if isinstance(address, bytes) else str(address)
    return name.replace("\0", "@")  # the abstract namespace, as ss(8) writes it


def _target(number: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return ""


def _is_unnamed_pair(number: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as sock:
            return sock.family == socket.AF_UNIX and not sock.getpeername()
    except OSError:
        return False
