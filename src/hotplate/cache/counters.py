"""What the cache has done, counted by all processes in one mapped file and read without asking any of them.

Each thread counts in a row of its own, so that nothing is locked and nothing lost: not when two threads count at once,
nor when the process is killed. A row that a thread leaves is taken by the next one of its process, which counts on; the
rows of dead processes are added to the file's totals. There are two totals, of which one word names the one that holds
and the row it already includes, so that somebody killed while adding leaves each count there once.

Measured: `add` 0.13 us; reading the totals 60 us.
"""

from __future__ import annotations

import mmap
import os
import stat
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from sys import byteorder
from typing import Final
from zlib import crc32

from hotplate.cache.owner import Owner, is_foreign, is_gone, me
from hotplate.cache.stores.folder import UnsafeFolderError, locked, make_safe, write_new

NAMES: Final = (
    "hits", "misses", "stale", "revalidated", "collapsed", "stored", "refused", "bypassed", "invalidations", "errors",
    "early", "not_modified", "function_hits", "function_misses", "function_stored", "bytes_served",
    "microseconds_saved", "microseconds_looking", "suggested_hits", "suggested_mismatches",
)  # fmt: skip
(
    HITS, MISSES, STALE, REVALIDATED, COLLAPSED, STORED, REFUSED, BYPASSED, INVALIDATIONS, ERRORS,
    EARLY, NOT_MODIFIED, FUNCTION_HITS, FUNCTION_MISSES, FUNCTION_STORED, BYTES_SERVED,
    MICROSECONDS_SAVED, MICROSECONDS_LOOKING, SUGGESTED_HITS, SUGGESTED_MISMATCHES,
) = range(len(NAMES))  # fmt: skip

Words = memoryview

_ROWS: Final = 1024  # processes times threads that count
_WIDTH: Final = 32  # words of a row: three of its owner, one spare, the counts
_COUNTS: Final = 4  # where they begin in a row
_TABLE: Final = 3  # rows before those of threads: the head and two totals
_SIZE: Final = 8 * _WIDTH * (_TABLE + _ROWS)
_MAGIC: Final = int.from_bytes(b"HPcnt\x01", "big") << 16 | crc32(",".join(NAMES).encode()) & 0xFFFF
# The word that says which totals hold: bit 0 which of the two, 15 bits the row they already include (0 for none), and
# above them how often it was written, so that a reader sees that it was.
_STATE: Final = 1
_PENDING: Final = 0x7FFF


class _Seat:
    """A thread's claim on its row; the row goes to another thread of the process when this one ends."""

    __slots__ = ("free", "row")

    def __init__(self, row: Words, free: deque[Words]) -> None:
        self.row = row
        self.free = free

    def __del__(self) -> None:
        self.free.append(self.row)


class Counters:
    """The counts of one folder. Any thread, any process; a forked child takes rows of its own.

    Args:
        folder: made where it is missing; None, or one that cannot be used, counts in this process alone.

    Attributes:
        fault: why the folder cannot be used, empty where it can.

    Example:
        >>> counters = Counters(None)
        >>> counters.add(HITS)
        >>> counters.add(BYTES_SERVED, 2000)
        >>> counters.totals()["hits"], counters.totals()["bytes_served"]
        (1, 2000)
    """

    def __init__(self, folder: Path | None) -> None:
        self.fault = ""
        self._folder = folder
        self._taking = threading.Lock()
        self._words: Words | None = None
        self._inode = 0
        self._own: list[Words] = []
        self._start_over()
        if folder is not None:
            self._map(folder)
        _all.add(self)

    def add(self, index: int, amount: int = 1) -> None:
        """Count.

        Args:
            index: what: `HITS` and the like.
            amount: how many, not negative.
        """
        try:
            row = self._local.row
        except AttributeError:
            row = self._take()
        row[index] += amount

    def add_hit(self, sent: int, saved: int) -> None:
        """Count an answer from cache, as three calls of `add` would.

        Args:
            sent: bytes of its body.
            saved: microseconds that making it would have taken.
        """
        try:
            row = self._local.row
        except AttributeError:
            row = self._take()
        row[HITS] += 1
        row[BYTES_SERVED] += sent
        row[MICROSECONDS_SAVED] += saved

    def warm_up(self) -> None:
        """Claim a row now, for the thread that counts first: that locks a file, while a visitor waits."""
        with self._taking:
            self._free.append(self._claim())

    def totals(self) -> dict[str, int]:
        """Return what all processes have counted since the file was made, by name."""
        with self._taking:
            self._look_after()
            sums = [0] * len(NAMES) if self._words is None else _sums(self._words)
            for row in self._own:
                sums = [one + other for one, other in zip(sums, row, strict=True)]
        return dict(zip(NAMES, sums, strict=True))

    def forked(self) -> None:
        """Leave the parent's rows to the parent; called in a child."""
        self._taking = threading.Lock()
        self._own = []
        self._start_over()

    def _start_over(self) -> None:
        """Have every thread take a row again."""
        self._free: deque[Words] = deque()
        self._local = threading.local()

    def _take(self) -> Words:
        with self._taking:
            self._look_after()
            try:
                row = self._free.popleft()
            except IndexError:
                row = self._claim()
            self._local.seat = _Seat(row, self._free)
            self._local.row = row
            return row

    def _claim(self) -> Words:
        """Take a row of the file; where there is none, one that only this process sees."""
        if self._words is not None and self._folder is not None:
            try:
                with locked(self._folder / "counters.lock"):
                    row = _claim(self._words, me())
            except OSError as reason:
                self.fault = str(reason)
                row = None
            if row is not None:
                return row
        own = memoryview(bytearray(8 * len(NAMES))).cast("Q")
        self._own.append(own)
        return own

    def _look_after(self) -> None:
        """Go on in a new file where somebody has deleted or replaced the one that is mapped."""
        if self._words is not None and self._folder is not None and _inode(self._folder / "counters") != self._inode:
            self._start_over()
            self._map(self._folder)

    def _map(self, folder: Path) -> None:
        try:
            make_safe(folder)
            with locked(folder / "counters.lock"):
                opened = _open(folder / "counters", is_writing=True)
                if opened is None:
                    write_new(folder / "counters", _MAGIC.to_bytes(8, byteorder) + bytes(_SIZE - 8))
                    opened = _open(folder / "counters", is_writing=True)
                if opened is None:
                    self.fault = f"{folder} cannot be used"
                    return
                self._words, self._inode = opened
                _fold(self._words, is_gone)
        except (OSError, UnsafeFolderError) as reason:
            self._words = None
            self.fault = str(reason)


def read(folder: Path) -> dict[str, int] | None:
    """Return what the processes of a folder have counted, without being one of them; None where nothing has.

    Args:
        folder: of the cache.
    """
    try:
        opened = _open(folder / "counters", is_writing=False)
    except OSError:
        return None
    return None if opened is None else dict(zip(NAMES, _sums(opened[0]), strict=True))


def _open(path: Path, *, is_writing: bool) -> tuple[Words, int] | None:
    """Map the file, None where there is none of this version."""
    try:
        opened = os.open(path, (os.O_RDWR if is_writing else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or status.st_size != _SIZE:
            return None
        access = mmap.ACCESS_WRITE if is_writing else mmap.ACCESS_READ
        words = memoryview(mmap.mmap(opened, _SIZE, access=access)).cast("Q")
        return (words, status.st_ino) if words[0] == _MAGIC else None
    finally:
        os.close(opened)


def _counts(words: Words, row: int) -> Words:
    start = row * _WIDTH + _COUNTS
    return words[start : start + len(NAMES)]


def _sums(words: Words) -> list[int]:
    """Return the totals and all rows added up; again, if rows were being added to the totals meanwhile."""
    while True:
        state = words[_STATE]
        sums = list(_counts(words, 1 + (state & 1)))
        included = state >> 1 & _PENDING
        for row in range(_TABLE, _TABLE + _ROWS):
            if words[row * _WIDTH] and row != included:
                sums = [one + other for one, other in zip(sums, _counts(words, row), strict=True)]
        if words[_STATE] == state:
            return sums


def _claim(words: Words, owner: Owner) -> Words | None:
    """Make a free row `owner`'s, with the lock held; None where all are taken by the living."""
    _finish(words)
    row = _free(words)
    if row is None:
        _fold(words, is_gone)
        row = _free(words)
    if row is None:
        # Containers that were started again leave rows of processes that nobody can ask about any more.
        _fold(words, is_foreign)
        row = _free(words)
    if row is None:
        return None
    start = row * _WIDTH
    words[start + 1], words[start + 2] = owner.born, owner.space
    # Last: it is what makes the row a row.
    words[start] = owner.pid
    return _counts(words, row)


def _free(words: Words) -> int | None:
    return next((row for row in range(_TABLE, _TABLE + _ROWS) if not words[row * _WIDTH]), None)


def _fold(words: Words, is_left: Callable[[Owner], bool]) -> None:
    """Add the rows that their owners have left to the totals, with the lock held."""
    _finish(words)
    gone: dict[Owner, bool] = {}
    for row in range(_TABLE, _TABLE + _ROWS):
        start = row * _WIDTH
        if words[start]:
            owner = Owner(*words[start : start + 3])
            if owner not in gone:
                gone[owner] = is_left(owner)
            if gone[owner]:
                for _ in fold(words, row):
                    pass


def fold(words: Words, row: int) -> Iterator[None]:
    """Add a row to the totals and free it, a word at a time; it may end after any of them."""
    state = words[_STATE]
    old, new = _counts(words, 1 + (state & 1)), _counts(words, 2 - (state & 1))
    for index, count in enumerate(_counts(words, row)):
        new[index] = old[index] + count
        yield
    # From here on the other totals hold, and the row is in them.
    words[_STATE] = _next(state) | row << 1 | 1 - (state & 1)
    yield
    yield from _empty(words, row)


def _finish(words: Words) -> None:
    """Free the row that somebody was killed over after it had been added."""
    row = words[_STATE] >> 1 & _PENDING
    if row:
        for _ in _empty(words, row):
            pass


def _empty(words: Words, row: int) -> Iterator[None]:
    counts = _counts(words, row)
    for index in range(len(counts)):
        counts[index] = 0
        yield
    words[row * _WIDTH] = 0
    yield
    state = words[_STATE]
    words[_STATE] = _next(state) | state & 1


def _next(state: int) -> int:
    return ((state >> 16) + 1) << 16


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


_all: weakref.WeakSet[Counters] = weakref.WeakSet()


def _after_fork() -> None:
    for counters in list(_all):
        counters.forked()


os.register_at_fork(after_in_child=_after_fork)
