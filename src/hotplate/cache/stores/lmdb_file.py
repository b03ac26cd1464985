"""The LMDB file of a folder as one process has it open: at most once, never across a fork.

LMDB's locks belong to a process and a file, so that opening a file twice in one process, or using what a parent opened,
breaks them (http://www.lmdb.tech/doc/, "Caveats"). Before a fork the file is therefore let go of, and parent and child
open it again when they next need it.

`sync=False`: a cache need not survive a power failure, and the clock beside it starts anew with the machine, with a new
file. `writemap=False`: with it `put` takes a third (3 us for 9 us at 10 kB), but the first page that a full disk has no
room for kills the process, where a write just fails.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

from hotplate.cache.stores.folder import give_away, locked, make_safe, write_new

SMALLEST: Final = 1 << 20  # bytes: LMDB's own pages and a few entries
_READERS = 1024  # processes times threads that look at the same instant; 64 bytes each
_STUCK = 0.5  # seconds for a change, which takes microseconds, and milliseconds where it makes room
_PATIENCE = 1.0  # seconds that a fork waits for threads to end a look of microseconds


class StuckError(Exception):
    """Whoever changes the file does not move: it is as lost as a damaged one."""


class DataFile:
    """An open file with its three tables.

    Args:
        env: the environment.
        number: the clock's number for the file.
        path: of the file.

    Attributes:
        entries: from key to order number and frame.
        order: from order number to key, oldest first.
        leases: from key to owner and deadline.
        held_since: when a reader of the past was first found to keep room from being used again.
    """

    __slots__ = (
        "__weakref__", "_lock", "_thread", "begin", "entries", "env", "held_since", "leases", "number", "order", "path"
    )  # fmt: skip

    def __init__(self, env: lmdb.Environment, number: int, path: Path) -> None:
        self.env = env
        self.number = number
        self.path = path
        self.held_since: float | None = None
        self._thread = threading.Lock()
        self._lock = os.open(f"{path}.writing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        give_away(Path(f"{path}.writing"))
        self.enter()
        try:
            with env.begin(write=True) as txn:
                self.entries = env.open_db(b"entries", txn=txn)
                self.order = env.open_db(b"order", txn=txn)
                self.leases = env.open_db(b"leases", txn=txn)
        finally:
            self.leave()
        self.begin = env.begin

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            os.close(self._lock)

    def enter(self) -> None:
        """Wait for the right to write, before LMDB's own lock, which would be waited for without end; then `leave`.

        Raises:
            StuckError: whoever has it does not move.
        """
        give_up = 0.0
        if not self._thread.acquire(timeout=_STUCK):
            raise StuckError("another thread does not end its change")
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                now = time.monotonic()
                give_up = give_up or now + _STUCK
                if now > give_up:
                    self._thread.release()
                    raise StuckError("another process does not end its change") from None
            time.sleep(0.0002)

    def leave(self) -> None:
        """Let others write."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._thread.release()

    def has_late_reader(self) -> bool:
        """Whether a transaction still reads what has been changed since, so that freed pages cannot be used."""
        last = self.env.info()["last_txnid"]
        rows = (line.split() for line in self.env.readers().splitlines())
        # LMDB's own table, one line each: process, thread, transaction or "-".
        return any(len(row) == 3 and row[2].isdigit() and int(row[2]) < last for row in rows)

    def used(self, txn: lmdb.Transaction) -> int:
        """Return the bytes in use; free pages in between are not."""
        pages = 0
        size = 0
        for table in (self.entries, self.order, self.leases):
            stat = txn.stat(table)
            size = stat["psize"]
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * size


class Holder:
    """What has a `DataFile` and lets go of it before a fork.

    Attributes:
        file: None until it is opened, and again after a fork.
    """

    def __init__(self) -> None:
        self.file: DataFile | None = None
        _holders.add(self)

    def open(self, folder: Path, limit: int, number: Callable[[], int]) -> DataFile:
        """Open the folder's data file, or make it.

        Args:
            folder: of the clock.
            limit: bytes that the file may take.
            number: gives the clock's number for the file; 0 for none.

        Raises:
            lmdb.Error: it is damaged, or there is no room for it.
            StuckError: another process is in the middle of a change, for long.
            OSError: the folder cannot be written to.
        """
        with _opening:
            make_safe(folder)
            with locked(folder / "data.lock"):
                current = number()
                if not current:
                    raise OSError("there is no clock to belong to")
                path = folder / f"data-{current:016x}.mdb"
                file = _open.get(path)
                if file is None:
                    _tidy(folder, path)
                    file = DataFile(_checked(path, limit), current, path)
                    _open[path] = file
                # Within the lock: a fork that begins next finds it here.
                self.file = file
                return file


_opening = threading.RLock()
_open: weakref.WeakValueDictionary[Path, DataFile] = weakref.WeakValueDictionary()
_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
# What could not be closed before a fork: closing it in the child would take the parent's readers from it.
_inherited: list[lmdb.Environment] = []


def _checked(path: Path, limit: int) -> lmdb.Environment:
    env = _environment(path, limit)
    try:
        # Touching what lies beyond the end of a file that was cut off would kill the process; zeros are just damage.
        whole = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        size = path.stat().st_size
        if size < whole:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), size, whole - size)
        env.reader_check()
        give_away(path, Path(f"{path}-lock"))
    except BaseException:
        env.close()
        raise
    return env


def _environment(path: Path, limit: int) -> lmdb.Environment:
    lock = Path(f"{path}-lock")
    if not lock.exists():
        # LMDB makes a file of holes, and the first one that a full disk cannot fill kills the process that touches it.
        write_new(lock, bytes(64 * _READERS + 8192))
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            return lmdb.open(
                os.fspath(path), subdir=False, mode=0o600, map_size=max(limit, SMALLEST), max_dbs=3,
                max_readers=_READERS, sync=False, metasync=False, readahead=False, max_spare_txns=1,
            )  # fmt: skip
        except lmdb.Error as reason:
            # Another thread, which was the last to use it, is still closing it.
            if "already open" not in str(reason) or time.monotonic() > give_up:
                raise
        time.sleep(0.001)


def _tidy(folder: Path, path: Path) -> None:
    """Delete data files of earlier clocks; processes that have them open keep what they have."""
    for old in folder.glob("data-*.mdb*"):
        if not old.name.startswith(path.name):
            with suppress(OSError):
                old.unlink()


def _before_fork() -> None:
    """Close all files, once looks in other threads have ended; nobody opens one until the fork is over."""
    _opening.acquire()
    for holder in list(_holders):
        holder.file = None
    envs = [file.env for file in list(_open.values())]
    give_up = time.monotonic() + _PATIENCE
    while envs:
        # Every transaction counts as a reference: two are the list's and the call's own.
        if sys.getrefcount(envs[-1]) <= 2:
            envs.pop().close()
        elif time.monotonic() > give_up:
            _inherited.append(envs.pop())
        else:
            time.sleep(0.0005)


def _after_fork_in_child() -> None:
    global _opening  # noqa: PLW0603 - the parent's was held by the parent's thread
    _opening = threading.RLock()
    _open.clear()


def _after_fork_in_parent() -> None:
    _inherited.clear()
    _opening.release()


os.register_at_fork(
    before=_before_fork, after_in_child=_after_fork_in_child, after_in_parent=_after_fork_in_parent
)  # fmt: skip
