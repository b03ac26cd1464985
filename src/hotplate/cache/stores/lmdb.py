"""The store of one machine: LMDB in a file that all its processes map, beside their clock.

A look is one read transaction, which takes no lock and copies only a value that is whole and valid. When the file is
nearly full the oldest entries make room, in batches that are bounded in time; what has expired or was invalidated goes
with them. Whatever happens to the file, all that is lost is what was in it: a damaged one is left for a new one, and so
is one in which a process is frozen in the middle of a change.

Measured at 10 kB on a shared 2-core machine: `look` 3.7 us, 1.2 us for nothing; `put` 18 us; `lease` and `release` 19
us together; 19 us to refuse a lease, most of it to see that its holder lives. A look at 200 keys in demand takes 3.4 us
among 10^3 entries of 500 bytes and 3.6 us among 10^6; at keys from anywhere in 10^6 (1 GB) 5.5 us, for memory is slower
than the processor's caches.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import lmdb

from hotplate.cache.owner import me
from hotplate.cache.stores import lmdb_rows as rows
from hotplate.cache.stores.base import Look, StoreState, Token
from hotplate.cache.stores.frame import head, pack_frame, payload_of
from hotplate.cache.stores.lmdb_file import SMALLEST, DataFile, Holder, StuckError
from hotplate.cache.stores.versions import Versions

_FULL = 0.9  # of the limit: removals need pages of their own, and large values pages in a row
_PART = 64  # a batch makes room for this part of the limit
_BATCH = 0.001  # seconds that a batch may take: others wait for it
_TRIES = 6  # batches for one value
_PAUSE = 1.0  # seconds before a file that could not be opened is tried again
_MOMENT = 0.0005  # seconds for a look of another thread to end
_FROZEN = 5.0  # seconds after which who looks does not move any more
_CHECK = 60.0  # seconds between clearings of what killed readers and leaders left
_DAMAGE = (
    lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.PanicError,
    lmdb.IncompatibleError, lmdb.BadDbiError, StuckError,
)  # fmt: skip
_FAILURES = (lmdb.Error, StuckError, OSError)
# What the machine refuses, which a new file would not change; LMDB gives these as texts of the system.
_REFUSALS = tuple(
    os.strerror(number)
    for number in (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC,
                   errno.EPERM, errno.EROFS, errno.EAGAIN)
)  # fmt: skip
# A disk without room for a part of a change is an error of input and output to LMDB.
_NO_ROOM = tuple(os.strerror(number) for number in (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC))

T = TypeVar("T")


class LmdbStore(Versions):
    """Keeps values for all processes of one machine. Opened when first used, and again after a fork.

    It is the clock and the data beside it: `valid` and `now` are the clock's own, with no call in between.

    Args:
        folder: where the files are; made with mode 0700 where it is missing.
        limit: bytes that the data file may take, at least 1 MiB.
        clock: wall-clock seconds.
        ticks: seconds of a clock that never jumps and is the same in all processes (CLOCK_MONOTONIC is).

    Example:
        >>> from tempfile import mkdtemp
        >>> store = LmdbStore(Path(mkdtemp()), 10_000_000)
        >>> store.put(bytes(32), b"page", store.now(), (7,), 60)
        >>> store.look(bytes(32)).value
        b'page'
        >>> store.bump([7])
        >>> store.look(bytes(32)).value
        >>> store.close()
    """

    is_slow = False
    is_shared = True

    def __init__(
        self,
        folder: Path,
        limit: int,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(folder, ticks=ticks)
        self._limit = max(limit, SMALLEST)
        self._clock = clock
        self._holder = Holder()
        self._opens_at = 0.0
        self._checks_at = 0.0
        self._unchecked = self._limit  # bytes put since the room was measured
        self._data_fault = ""
        self._evicted = 0

    def look(self, key: bytes) -> Look:
        """Return what is kept under `key`, if it is valid."""
        token = self.now()
        file = self._file()
        if token is None or file is None:
            return Look(None, token)
        try:
            # The view is of the file itself: it is done with before the transaction is.
            txn = file.begin(file.entries, None, False, True)  # noqa: FBT003 - names take 0.1 us
            view = txn.get(key)
            if view is not None:
                frame = view[rows.NUMBER :]
                found = head(frame)
                if found is not None and found.dies > self._clock() and self.valid(found.token, found.slots):
                    value = payload_of(frame, found)
                    if value is not None:
                        return Look(value, found.token, found.slots, found.dies)
        except _FAILURES as reason:
            self._failed(reason, file)
        return Look(None, token)

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look, and tell at once."""
        told(self.look(key))

    def put(self, key: bytes, value: bytes, token: Token, slots: Sequence[int], seconds: float) -> None:
        """Keep `value` for `seconds`, unless it was invalidated since `token`, or is larger than an eighth of all."""
        if not self.valid(token, slots):
            self.heal(slots)
            return
        try:
            frame = pack_frame(value, token, slots, self._clock() + seconds)
        except ValueError as reason:
            self._data_note(reason)
            return
        if seconds <= 0 or len(frame) > self._limit // 8:
            self.drop((key,))
            return

        def insert(txn: lmdb.Transaction, file: DataFile) -> None:
            if self.valid(token, slots):
                rows.insert(txn, file, key, frame)

        self._make_room(len(frame))
        self._change(insert, len(frame))

    def drop(self, keys: Collection[bytes]) -> None:
        """Forget what is kept under `keys`."""

        def remove(txn: lmdb.Transaction, file: DataFile) -> None:
            for key in keys:
                rows.remove(txn, file, key)

        self._change(remove)

    def lease(self, key: bytes, seconds: float) -> bool:
        """Try to become the one who computes `key`, for at most `seconds`.

        True as well where no lease can be kept: then everybody computes, as without a cache.
        """
        file = self._file()
        now = self._ticks()

        def take(txn: lmdb.Transaction, file: DataFile) -> bool:
            if rows.is_leased(txn, file, key, now):
                return False
            rows.put_lease(txn, file, key, me(), now + seconds)
            return True

        if file is None:
            return True
        try:
            # Most who ask in vain are told so without waiting for a writer.
            with file.begin() as txn:
                if rows.is_leased(txn, file, key, now):
                    return False
        except _FAILURES as reason:
            self._failed(reason, file)
            return True
        return self._change(take) is not False

    def release(self, key: bytes) -> None:
        """Give back a lease of this process."""
        self._change(lambda txn, file: rows.end_lease(txn, file, key, me()))

    def state(self) -> StoreState:
        """How it is doing."""
        entries = used = -1
        file = self._file() if self.now() is not None else None
        if file is not None:
            try:
                with file.begin() as txn:
                    entries, used = txn.stat(file.entries)["entries"], file.used(txn)
            except _FAILURES as reason:
                self._failed(reason, file)
        fault = self.fault or self._data_fault
        return StoreState(
            "lmdb", entries, used, self._limit, is_up=used >= 0,
            detail=f"{self._folder}: {fault}" if fault else str(self._folder),
            evicted=self._evicted, faults=self.faults,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        self._holder.file = None

    def _file(self) -> DataFile | None:
        file = self._holder.file
        if file is not None and file.number == self.data:
            return file
        return self._opened()

    def _opened(self) -> DataFile | None:
        """Open the file that belongs to the clock, at most once in a while where that fails."""
        self._holder.file = None
        if self.now() is None or self._ticks() < self._opens_at:
            return None
        number = self.data
        try:
            file = self._holder.open(self._folder, self._limit, self._current)
        except _FAILURES as reason:
            self._opens_at = self._ticks() + _PAUSE
            self._data_note(reason)
            if isinstance(reason, _DAMAGE) or not _is_refusal(reason):
                self.renew_data(number)
            return None
        self._unchecked = self._limit
        self._data_fault = ""
        return file

    def _current(self) -> int:
        """Return the number of the clock's data file, of the clock as it is now."""
        return self.data if self.now() is not None else 0

    def _change(self, work: Callable[[lmdb.Transaction, DataFile], T], size: int = 0) -> T | None:
        """Do something that takes `size` bytes in a write transaction; None where it could not be done."""
        file = self._file()
        if file is None:
            return None
        for tried in range(_TRIES):
            try:
                return self._transact(file, work)
            except lmdb.MapFullError:
                # Once more first: the look that kept room from being used may just have ended.
                if not (self._wait_for_reader(file) or not tried or self._evict(file, size)):
                    return None
            except _FAILURES as reason:
                self._failed(reason, file)
                return None
        return None

    def _transact(self, file: DataFile, work: Callable[[lmdb.Transaction, DataFile], T]) -> T:
        file.enter()
        try:
            with file.begin(write=True, buffers=True) as txn:
                if not self.enter_data():
                    raise lmdb.CorruptedError("one process after the other died of changing it")
                try:
                    done = work(txn, file)
                finally:
                    self.leave_data()
        finally:
            file.leave()
        file.held_since = None
        return done

    def _make_room(self, size: int) -> None:
        """See now and then, by the bytes that were put, whether the oldest must go."""
        self._unchecked += size
        file = self._file()
        if self._unchecked < self._limit // _PART or file is None:
            return
        self._unchecked = 0
        try:
            with file.begin() as txn:
                used = file.used(txn)
        except _FAILURES as reason:
            self._failed(reason, file)
            return
        if used + size > self._limit * _FULL:
            self._evict(file, size)
            # Measured again at the next put: a batch may have run out of time.
            self._unchecked = self._limit
        if self._ticks() > self._checks_at:
            self._checks_at = self._ticks() + _CHECK
            try:
                self._transact(file, self._clear_up)
            except _FAILURES as reason:
                self._failed(reason, file)

    def _clear_up(self, txn: lmdb.Transaction, file: DataFile) -> None:
        file.env.reader_check()
        rows.prune_leases(txn, file, self._ticks())

    def _wait_for_reader(self, file: DataFile) -> bool:
        """Wait a moment where there is room that a look in the past still holds; whether it was worth while.

        A look takes microseconds, but its thread may have lost the interpreter in the middle of it, or its process may
        be frozen: after some seconds the others go on in a new file.
        """
        file.env.reader_check()
        if not file.has_late_reader():
            return False
        now = self._ticks()
        if file.held_since is None:
            file.held_since = now
        if now - file.held_since > _FROZEN:
            self.renew_data(file.number)
            return False
        time.sleep(_MOMENT)
        return True

    def _evict(self, file: DataFile, size: int) -> bool:
        """Throw out a batch of the oldest; where there is not even room for that, go on with a new file."""
        stop = self._ticks() + _BATCH
        size = max(self._limit // _PART, 2 * size)
        try:
            file.env.reader_check()
            gone = self._transact(file, lambda txn, file: rows.evict(txn, file, size, lambda: self._ticks() > stop))
        except _FAILURES as reason:
            if isinstance(reason, lmdb.MapFullError) and self._wait_for_reader(file):
                return True
            self._data_note(reason)
            gone = 0
        if not gone:
            self.renew_data(file.number)
        self._evicted += gone
        return bool(gone)

    def _data_note(self, reason: Exception) -> None:
        self.faults += 1
        self._data_fault = str(reason)

    def _failed(self, reason: Exception, file: DataFile) -> None:
        """Remember a failure, and do what it calls for; whoever asked is told that there is nothing."""
        self._data_note(reason)
        if isinstance(reason, _DAMAGE):
            self.renew_data(file.number)
        elif any(text in str(reason) for text in _NO_ROOM):
            self._evict(file, 0)
        elif isinstance(reason, lmdb.ReadersFullError):
            file.env.reader_check()
        elif isinstance(reason, lmdb.MapResizedError):
            self._holder.file = None


def _is_refusal(reason: Exception) -> bool:
    return isinstance(reason, OSError) or any(text in str(reason) for text in _REFUSALS)
