"""What lies in the store of one machine although nobody is answered with it any more: for those who ask why."""

from __future__ import annotations

from pathlib import Path

import lmdb

from hotplate.cache.stores import lmdb_rows as rows
from hotplate.cache.stores.frame import Frame, parse
from hotplate.cache.stores.lmdb import LmdbStore
from hotplate.cache.stores.lmdb_file import Holder


def remains(store: LmdbStore, folder: Path, limit: int, key: bytes) -> Frame | None:
    """Return what is kept under `key`, valid or not; None where nothing is, or it is damaged.

    Args:
        store: open.
        folder: of the store.
        limit: bytes that its file may take.
        key: as of `look`.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> store = LmdbStore(folder, 10_000_000)
        >>> store.put(bytes(32), b"page", store.now(), (7,), 60)
        >>> store.bump([7])
        >>> store.look(bytes(32)).value, remains(store, folder, 10_000_000, bytes(32)).payload
        (None, b'page')
    """
    try:
        file = Holder().open(folder, limit, lambda: store.data)
        with file.begin(buffers=True) as txn:
            row = txn.get(key, db=file.entries)
            return None if row is None else parse(bytes(row[rows.NUMBER :]))
    except (lmdb.Error, OSError):
        return None
