"""The clock of invalidation that all processes of one machine share: a file mapped into each of them.

64-bit words: magic, epoch, seq, the number of the data file, the start of the machine, whether somebody is writing to
the data file, how many writers in a row died of it, one spare; then `last`, one word for each of 65,536 slots. Readers
take no lock and make no system call; an aligned word is read and written whole.

Why `bump` writes the slots first and seq last. Token n must mean "everything up to invalidation n is already in the
slots". Were seq written first, a page could be begun with token n, be composed of a fragment that is still valid
because its slot has not been written yet, and be kept with token n: stale, and valid for ever after. With seq last,
whoever has token n finds that fragment invalid; whoever composed the page of it has token n-1, and the page goes with
the fragment.

Why a writer that is killed anywhere does no harm. Each write is one word and only ever takes validity away: before the
first nothing has happened; between them some slots say n while tokens are still n-1, so what depends on those slots is
invalid and what is computed is not kept (a needless miss, which `heal` ends by writing the seq that is missing). The
invalidation that was cut short was never acknowledged. The next one may write the same n again: nobody has token n
before some writer has ended. tests/cache/test_versions.py goes through every interleaving of a writer's words, its
death, and readers that compose.

A file that is damaged, or of another version or start of the machine (after a power failure its pages may be of
different ages), is replaced, never repaired: its epoch is set to 0, which no token has, so that processes which map it
find nothing valid and map its successor. The same word serves when a bump cannot get its lock.

Measured: `valid` 0.21 us for one slot, 0.27 us for three; `now` 0.34 us; `bump` 7.4 us.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import randbits
from threading import Lock
from typing import Final

from hotplate.cache.owner import boot
from hotplate.cache.stores.base import SLOTS, Token
from hotplate.cache.stores.folder import UnsafeFolderError, locked, make_safe, write_new

Words = memoryview

_MAGIC: Final = int.from_bytes(b"HPclock\x01", "big")
_EPOCH: Final = 1
_SEQ: Final = 2
_DATA: Final = 3
_BOOT: Final = 4
_WRITING: Final = 5
_DEATHS: Final = 6
_FIRST: Final = 8
_SIZE: Final = 8 * (_FIRST + SLOTS)
_MOST: Final = 1 << 62  # no machine counts that far: a seq beyond it is damage
_FATAL = 2  # writers in a row that died while they wrote: one may have been killed, two hardly ever at once
_PATIENCE = 1.0  # seconds that a bump waits for another's, which takes microseconds unless its process is frozen
_PAUSE = 0.005  # seconds before another try, at most
_GLANCE = 1.0  # seconds between checks that the file is still the one with its name

# What is mapped where nothing could be: its epoch is 0, so that nothing is valid.
_NOTHING: Words = memoryview(bytes(8 * _FIRST)).cast("Q")


def writes(seq: int, slots: Collection[int]) -> Iterator[tuple[int, int]]:
    """Return the words that an invalidation writes, as (index, value), in the order that makes it safe.

    Example:
        >>> list(writes(4, [0, 2]))
        [(8, 5), (10, 5), (2, 5)]
    """
    for slot in slots:
        yield _FIRST + slot, seq + 1
    yield _SEQ, seq + 1


class Versions:
    """The clock of one folder. Any thread, any process; goes on after a fork.

    Args:
        folder: made with mode 0700 where it is missing.
        ticks: seconds of a clock that never jumps.
    """

    def __init__(self, folder: Path, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self.fault = ""
        self.faults = 0
        self._folder = folder
        self._path = folder / "versions"
        self._ticks = ticks
        self._words = _NOTHING
        self._inode = 0
        self._glance = 0.0
        self._changing = Lock()
        self._map()

    def valid(self, token: Token, slots: Sequence[int]) -> bool:
        """Whether nothing of `slots` was invalidated since `token`; no I/O but one `stat` a second."""
        if self._ticks() > self._glance:
            self._look_after()
        words = self._words
        epoch, seq = token
        if words[1] != epoch or not epoch:
            return False
        for slot in slots:  # noqa: SIM110 - all() of a generator takes twice as long
            if words[slot + 8] > seq:
                return False
        return True

    def now(self) -> Token | None:
        """Return the clock, None where there is none."""
        if self._ticks() > self._glance:
            self._look_after()
        words = self._words
        epoch = words[1]
        if epoch:
            return Token(epoch, words[2])
        if words is _NOTHING:
            return None
        self._map()
        words = self._words
        epoch = words[1]
        return Token(epoch, words[2]) if epoch else None

    @property
    def data(self) -> int:
        """The number of the data file that belongs to this clock; 0 where there is none."""
        return self._words[_DATA]

    def bump(self, slots: Collection[int]) -> None:
        """Invalidate what depends on `slots`; when it returns, every process sees it."""
        self._write(lambda words: list(writes(words[_SEQ], slots)))

    def clear(self) -> None:
        """Invalidate everything; the data file is left behind as well."""
        if _inode(self._path) != self._inode:
            self._retire()
            self._map()
        self._retire()
        self._map()

    def heal(self, slots: Sequence[int]) -> bool:
        """End what a killed writer left undone: slots ahead of seq, for which nothing could be kept."""
        words = self._words
        if not words[_EPOCH] or all(words[_FIRST + slot] <= words[_SEQ] for slot in slots):
            return False
        self._write(lambda words: [(_SEQ, max(words[_SEQ], *(words[_FIRST + slot] for slot in slots)))])
        return True

    def renew_data(self, old: int) -> None:
        """Have all processes go on with a new data file, unless they already do."""
        self._write(lambda words: [(_DATA, _random())] if words[_DATA] == old else [])

    def enter_data(self) -> bool:
        """Say that this process begins to change the data file, with the file's lock held.

        Returns:
            Whether it may: a file on which one writer after the other died is damaged in a way that kills.
        """
        words = self._words
        if words is _NOTHING:
            return False
        words[_DEATHS] = words[_DEATHS] + 1 if words[_WRITING] else 0
        words[_WRITING] = 0 if words[_DEATHS] >= _FATAL else 1
        return bool(words[_WRITING])

    def leave_data(self) -> None:
        """Say that it has survived that, before the lock is let go."""
        if self._words is not _NOTHING:
            self._words[_WRITING] = 0

    def _write(self, plan: Callable[[Words], list[tuple[int, int]]]) -> None:
        """Write words under the lock; where that cannot be had, invalidate everything, which needs none."""
        give_up = self._ticks() + _PATIENCE
        while True:
            try:
                with _alone(self._path, give_up, self._ticks) as inode:
                    if inode == self._inode:
                        words = self._words
                        for index, value in plan(words):
                            words[index] = value
                        # 0: replaced while this process was frozen, so all that was written is lost, and needless.
                        if words[_EPOCH]:
                            return
            except OSError as reason:
                self._note(reason)
                time.sleep(_PAUSE)
            if self._ticks() > give_up:
                self._retire()
                return
            if _inode(self._path) != self._inode:
                self._retire()
            self._map()
            if self._words is _NOTHING:
                return

    def _retire(self) -> None:
        """Make everything invalid for all who map what this process maps; needs no lock, nothing takes it back."""
        if self._words is not _NOTHING:
            self._words[_EPOCH] = 0

    def _look_after(self) -> None:
        """See whether somebody has deleted the file, which leaves each process alone with what it maps."""
        self._glance = self._ticks() + _GLANCE
        if self._words is _NOTHING:
            self._map()
        elif _inode(self._path) != self._inode:
            self._retire()
            self._map()

    def _map(self) -> None:
        with self._changing:
            if self._words[_EPOCH] and _inode(self._path) == self._inode:
                return
            try:
                make_safe(self._folder)
                with locked(self._folder / "versions.lock"):
                    words, inode = _open(self._path) or _replace(self._path)
            except (OSError, UnsafeFolderError) as reason:
                self._note(reason)
                words, inode = _NOTHING, 0
            else:
                self.fault = ""
            # Threads may be reading the old words: their view keeps it mapped until they are done.
            self._words, self._inode = words, inode
            self._glance = self._ticks() + _GLANCE

    def _note(self, reason: Exception) -> None:
        self.fault = str(reason)
        self.faults += 1


@contextmanager
def _alone(path: Path, give_up: float, ticks: Callable[[], float]) -> Iterator[int]:
    """Hold the file's lock: opened anew each time, since a lock belongs to what was opened, which a fork shares."""
    opened = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        pause = 0.0001
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if ticks() > give_up:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, _PAUSE)
        yield os.fstat(opened).st_ino
    finally:
        os.close(opened)


def _open(path: Path) -> tuple[Words, int] | None:
    """Map the file, None where there is none that can be used; one that cannot is retired."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFolderError(path, "it is not a file")
        if status.st_size == _SIZE:
            words = memoryview(mmap.mmap(opened, _SIZE)).cast("Q")
            if _is_sound(words):
                return words, status.st_ino
        # Whoever maps a file that was cut off dies of touching what is missing: give it back, as zeros.
        os.ftruncate(opened, _SIZE)
        os.pwrite(opened, bytes(8 * _FIRST), 0)
        return None
    finally:
        os.close(opened)


def _is_sound(words: Words) -> bool:
    """Whether a mapped file is one of ours, of this start of the machine, and says nothing impossible."""
    seq = words[_SEQ]
    return (
        words[0] == _MAGIC
        and words[_BOOT] == boot()
        and words[_EPOCH] != 0
        and words[_DATA] != 0
        and seq < _MOST
        and max(words[_FIRST:]) <= seq + 1
    )


def _replace(path: Path) -> tuple[Words, int]:
    """Put a new clock in the place of whatever is there."""
    start = bytearray(8 * _FIRST)
    words = memoryview(start).cast("Q")
    words[0], words[_EPOCH], words[_DATA], words[_BOOT] = _MAGIC, _random(), _random(), boot()
    # Written in full: a page that the disk has no room for would kill the process that first touches it.
    write_new(path, bytes(start) + bytes(8 * SLOTS))
    made = _open(path)
    if made is None:
        raise OSError(f"{path} was damaged as it was written")
    return made


def _inode(path: Path) -> int:
    with suppress(OSError):
        return os.stat(path, follow_symlinks=False).st_ino  # noqa: PTH116 - half the time of Path.stat
    return 0


def _random() -> int:
    return randbits(63) or 1
