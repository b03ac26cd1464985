"""The embedded file opened for results alone: a connection per thread and process, transactions that nest."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Store:
    """An embedded file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Cursor]:
        """Hold the write transaction; within it, another `write` is part of it."""
        connection = self._connection()
        if connection.in_transaction:
            yield connection.cursor()
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection.cursor()
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor to ask with."""
        yield self._connection().cursor()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None or self._local.pid != os.getpid():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            self._local.connection, self._local.pid = connection, os.getpid()
        return connection


def from_url(url: str) -> Store:
    """Open the file of a URL."""
    return Store(Path(unquote(urlsplit(url).path).replace("//", "/", 1)))
