"""What stands in the tables of the data file, and how it comes and goes; inside a transaction of the caller's.

Entries are kept in the order in which they were put, as the oldest are to make room: each has a number, its key in the
table `order`, and carries that number itself, so that a newer value under the same key leaves its old place.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error

import lmdb

from hotplate.cache.owner import Owner, is_gone
from hotplate.cache.stores.lmdb_file import DataFile

NUMBER = 8  # bytes of an entry's number, before its frame
_MOST = 1 << 62
_LEASE = Struct("<QQQd")
_MOST_PRUNED = 64


def insert(txn: lmdb.Transaction, file: DataFile, key: bytes, frame: bytes) -> None:
    """Put an entry, as the youngest.

    Raises:
        lmdb.MapFullError: room has to be made first; the transaction is lost.
        lmdb.CorruptedError: the tables say what cannot be.
    """
    remove(txn, file, key)
    with txn.cursor(db=file.order) as cursor:
        last = int.from_bytes(cursor.key(), "big") if cursor.last() else 0
    if last >= _MOST:
        raise lmdb.CorruptedError("no entry has such a number")
    number = (last + 1).to_bytes(NUMBER, "big")
    txn.put(number, key, db=file.order, append=True)
    txn.put(key, number + frame, db=file.entries)


def remove(txn: lmdb.Transaction, file: DataFile, key: bytes) -> None:
    """Remove an entry, if it is there."""
    old = txn.get(key, db=file.entries)
    if old is not None:
        if len(old) < NUMBER:
            raise lmdb.CorruptedError("an entry has no number")
        txn.delete(bytes(old[:NUMBER]), db=file.order)
        txn.delete(key, db=file.entries)


def evict(txn: lmdb.Transaction, file: DataFile, size: int, is_late: Callable[[], bool]) -> int:
    """Remove the oldest entries and return how many.

    Args:
        txn: to write with.
        file: the tables.
        size: bytes to make room for.
        is_late: whether to stop although there is not room enough yet.

    Raises:
        lmdb.MapFullError: there is not even room for what a removal takes.
    """
    freed = evicted = 0
    with txn.cursor(db=file.order) as cursor:
        is_any = cursor.first()
        while is_any and freed < size and not (evicted and is_late()):
            number, key = bytes(cursor.key()), bytes(cursor.value())
            entry = txn.get(key, db=file.entries)
            if entry is not None and entry[:NUMBER] == number:
                freed += len(entry)
                txn.delete(key, db=file.entries)
            evicted += 1
            cursor.delete()
            is_any = cursor.first()
    return evicted


def is_leased(txn: lmdb.Transaction, file: DataFile, key: bytes, now: float) -> bool:
    """Whether somebody who lives holds the lease of `key`."""
    held = _lease(txn.get(key, db=file.leases))
    return held is not None and held[1] > now and not is_gone(held[0])


def put_lease(txn: lmdb.Transaction, file: DataFile, key: bytes, owner: Owner, deadline: float) -> None:
    """Give the lease of `key` to `owner`."""
    txn.put(key, _LEASE.pack(*owner, deadline), db=file.leases)


def end_lease(txn: lmdb.Transaction, file: DataFile, key: bytes, owner: Owner) -> None:
    """Take the lease of `key` back, if `owner` still has it."""
    held = _lease(txn.get(key, db=file.leases))
    if held is not None and held[0] == owner:
        txn.delete(key, db=file.leases)


def prune_leases(txn: lmdb.Transaction, file: DataFile, now: float) -> None:
    """Remove some leases that are past: those of who died, for keys that nobody has asked for since."""
    with txn.cursor(db=file.leases) as cursor:
        is_any = cursor.first()
        for _ in range(_MOST_PRUNED):
            if not is_any:
                return
            held = _lease(cursor.value())
            is_any = cursor.delete() if held is None or held[1] <= now else cursor.next()


def _lease(row: bytes | memoryview | None) -> tuple[Owner, float] | None:
    if row is None:
        return None
    try:
        pid, born, space, deadline = _LEASE.unpack(row)
    except error:
        return None
    return Owner(pid, born, space), deadline
