"""The LMDB file of a folder as one process has it open: at most once, never across a fork.

LMDB's locks belong to a process and a file, so that opening a file twice in one process, or using what a parent opened,
breaks them (http://www.lmdb.tech/doc/, "Caveats"). Before a fork the file is therefore let go of, and parent and child
open it again when they next need it.

`sync=False`: a cache need not survive a power failure, and the clock beside it starts anew with the machine, with a new
file. `writemap=False`: with it `put` takes a third (3 us for 9 us at 10 kB), but the first page that a full disk has no
room for kills the process, where a write just fails.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

from hotplate.cache.stores.folder import locked, make_safe

SMALLEST: Final = 1 << 20  # bytes: LMDB's own pages and a few entries
_READERS = 1024  # processes times threads that look at the same instant; 64 bytes each
_PATIENCE = 0.1  # seconds that a fork waits for threads to end a look of microseconds


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
    """

    __slots__ = ("__weakref__", "begin", "entries", "env", "leases", "number", "order", "path")

    def __init__(self, env: lmdb.Environment, number: int, path: Path) -> None:
        self.env = env
        self.number = number
        self.path = path
        with env.begin(write=True) as txn:
            self.entries = env.open_db(b"entries", txn=txn)
            self.order = env.open_db(b"order", txn=txn)
            self.leases = env.open_db(b"leases", txn=txn)
        self.begin = env.begin

    def used(self, txn: lmdb.Transaction) -> int:
        """Return the bytes in use; free pages in between are not."""
        pages = 0
        size = 0
        for table in (self.entries, self.order, self.leases):
            stat = txn.stat(table)
            size = stat["psize"]
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * size


_opening = threading.RLock()
_open: weakref.WeakValueDictionary[Path, DataFile] = weakref.WeakValueDictionary()
_inherited: list[DataFile] = []
_letting_go: weakref.WeakSet[Holder]


class Holder:
    """What holds a `DataFile` and lets go of it before a fork.

    Attributes:
        file: None until it is opened, and again after a fork.
    """

    file: DataFile | None = None

    def __init__(self) -> None:
        _letting_go.add(self)


_letting_go = weakref.WeakSet()


def open_file(folder: Path, limit: int, number: Callable[[], int]) -> DataFile:
    """Return the folder's data file, opened or made.

    Args:
        folder: of the clock.
        limit: bytes that the file may take.
        number: gives the clock's number for the file; 0 for none.

    Raises:
        lmdb.Error: it is damaged, or there is no room for it.
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
            return file


def _checked(path: Path, limit: int) -> lmdb.Environment:
    env = lmdb.open(
        os.fspath(path), subdir=False, mode=0o600, map_size=max(limit, SMALLEST), max_dbs=3, max_readers=_READERS,
        sync=False, metasync=False, readahead=False, max_spare_txns=1,
    )  # fmt: skip
    try:
        # Touching what lies beyond the end of a file that was cut off would kill the process; zeros are just damage.
        whole = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if path.stat().st_size < whole:
            os.truncate(path, whole)
        env.reader_check()
    except BaseException:
        env.close()
        raise
    return env


def _tidy(folder: Path, path: Path) -> None:
    """Delete data files of earlier clocks; processes that have them open keep what they have."""
    for old in folder.glob("data-*.mdb*"):
        if not old.name.startswith(path.name):
            with suppress(OSError):
                old.unlink()


def _before_fork() -> None:
    """Let go of all files; nobody opens one until the fork is over. A look in another thread ends first."""
    _opening.acquire()
    files = list(_open.values())
    for holder in list(_letting_go):
        holder.file = None
    left = [weakref.ref(file.env) for file in files]
    files.clear()
    give_up = time.monotonic() + _PATIENCE
    while any(each() is not None for each in left) and time.monotonic() < give_up:
        time.sleep(0.0005)


def _after_fork_in_child() -> None:
    """Keep what could not be let go of as it is: closing it here would take away the parent's locks."""
    global _opening  # noqa: PLW0603 - the parent's was held by the parent's thread
    _opening = threading.RLock()
    _inherited.extend(_open.values())
    _open.clear()


def _after_fork_in_parent() -> None:
    _opening.release()


os.register_at_fork(
    before=_before_fork, after_in_child=_after_fork_in_child, after_in_parent=_after_fork_in_parent
)  # fmt: skip
