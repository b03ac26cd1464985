"""Waking without polling: whoever waits has a socket with a name in the file, and whoever writes sends a byte to it.

A lost byte costs at most a second, the time between two looks of whoever waits. The sockets lie in a folder that is the
owner's alone. On Linux a path longer than a socket's address may be (107 bytes, unix(7)) goes through the folder's own
descriptor.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LONGEST = 100
TOLD = b"!"
OWN = b"."
"""What one sends to oneself."""


class Folder:
    """The sockets of one broker file, and how to reach them."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + "-wake")
        self._prefix = ""
        self._descriptor = -1
        self._sender: socket.socket | None = None
        self._pid = -1
        self._lock = threading.Lock()

    def bind(self) -> tuple[socket.socket, str]:
        """Return a new socket that does not block, and its name.

        Raises:
            OSError: the folder cannot be made or written to.
        """
        for folder in (self.path.parent, self.path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = secrets.token_hex(6)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.settimeout(0)
            sock.bind(self._address(name))
        except BaseException:
            sock.close()
            raise
        return sock, name

    def send(self, names: Iterable[str], byte: bytes = TOLD) -> None:
        """Send a byte to each; who is gone, or has enough of them waiting, needs none."""
        for name in names:
            with suppress(OSError):
                self._socket().sendto(byte, self._address(name))

    def remove(self, name: str) -> None:
        """Remove the socket's file."""
        with suppress(OSError):
            (self.path / name).unlink()

    def _socket(self) -> socket.socket:
        self._follow_fork()
        with self._lock:
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.settimeout(0)
            return self._sender

    def _address(self, name: str) -> str:
        self._follow_fork()
        if not self._prefix:
            with self._lock:
                self._prefix = self._find_prefix()
        return self._prefix + name

    def _find_prefix(self) -> str:
        plain = f"{self.path}/"
        if len(os.fsencode(plain)) + 12 <= _LONGEST or sys.platform != "linux":
            return plain
        self._descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/"

    def _follow_fork(self) -> None:
        """A child opens its own: the process it came from may close the inherited ones at any time."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            if self._sender is not None:
                self._sender.detach()  # not closed: a child that became a daemon may have given its number away
            self._prefix, self._descriptor, self._sender, self._lock = "", -1, None, threading.Lock()


def drain(sock: socket.socket) -> bool:
    """Take what has arrived at a socket that does not block; return whether somebody else had sent it."""
    told = False
    with suppress(OSError):
        while True:
            told = sock.recv(1) != OWN or told
    return told


def wait(sock: socket.socket, seconds: float | None) -> bool:
    """Wait for a byte, `seconds` at most; return whether one arrived. It is taken."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    if not poller.poll(None if seconds is None else max(0, round(seconds * 1000 + 0.5))):
        return False
    drain(sock)
    return True
