"""Who is alive: one locked byte per owner in a file beside the broker's, given up by the kernel at any death.

A POSIX record lock belongs to a process, is not inherited by fork, and is dropped when that process closes any of its
descriptors of the file (fcntl(2), "record locks"). So a process has one descriptor per such file, for life.
No clock and no heartbeat is involved: a process that is stopped, or busy for a day, is alive.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


def pause(tries: int) -> None:
    """Sleep between two tries to get at what is in use: 50 us at first, a millisecond later."""
    time.sleep(min(0.00005 * (tries + 1), 0.001))


class _Key(NamedTuple):
    device: int
    inode: int


class Owners:
    """This process's locks in one file of owners; make it with `owners_of`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mine: set[int] = set()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._writer = 0

    def take_turn(self, until: float) -> bool:
        """Be the only one to write, of this process's threads and of all processes, by the lock of byte 0.

        SQLite has a lock for that, too, but not for moving its log into the file afterwards, and before 3.51.3 two who
        do that while a third one writes may lose what is written (https://sqlite.org/wal.html#walresetbug).

        Args:
            until: when to give up, on the monotonic clock.
        """
        if not self._turn.acquire(timeout=max(0.0, until - time.monotonic())):
            return False
        self._writer = threading.get_ident()
        tries = 0
        while True:
            with suppress(BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes it: fcntl(2)
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
                return True
            if time.monotonic() > until:
                self.end_turn()
                return False
            pause(tries)
            tries += 1

    def end_turn(self) -> None:
        """Let others write, if it is this thread's turn."""
        if self._writer != threading.get_ident():
            return
        if self._pid == os.getpid():
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, 0)
        self._writer = 0
        self._turn.release()

    def hold(self, owner: int) -> None:
        """Lock an owner's byte until this process dies, or lets go.

        Raises:
            OSError: somebody else has it, or locks are not to be had on this file system.
        """
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
            self._mine.add(owner)

    def let_go(self, owner: int) -> None:
        """Unlock an owner's byte: what it still has is anybody's."""
        with self._lock:
            self._mine.discard(owner)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, owner)

    def is_alive(self, owner: int) -> bool:
        """Return whether a process, this one or another, holds the owner's byte."""
        with self._lock:
            if owner in self._mine:  # trying our own lock would succeed, and unlocking it would give it up
                return True
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
            except OSError:
                return True
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, owner)
            return False


_KNOWN: dict[_Key, Owners] = {}
_DESCRIPTORS: list[int] = []
_GUARD = threading.Lock()


def owners_of(path: Path) -> Owners:
    """Return the owners of the broker file at `path`, made if there are none yet.

    Raises:
        OSError: the file can be neither found nor made.
    """
    beside = path.with_name(path.name + "-owners")
    with _GUARD:
        while True:
            try:
                # Looked up before it is opened: closing a second descriptor would drop every lock of the first.
                info = beside.stat()
            except FileNotFoundError:
                _make(beside)
                continue
            known = _KNOWN.get(_Key(info.st_dev, info.st_ino))
            if known is not None:
                return known
            descriptor = os.open(beside, os.O_RDWR | os.O_CLOEXEC)
            info = os.fstat(descriptor)
            _DESCRIPTORS.append(descriptor)
            return _KNOWN.setdefault(_Key(info.st_dev, info.st_ino), Owners(descriptor))


def _make(beside: Path) -> None:
    try:
        os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _forget() -> None:
    """A child has none of its parent's locks, and so may close what it inherited."""
    global _GUARD  # noqa: PLW0603  # another thread may have held it when the process forked
    _GUARD = threading.Lock()
    _KNOWN.clear()
    while _DESCRIPTORS:
        os.close(_DESCRIPTORS.pop())


os.register_at_fork(after_in_child=_forget)
