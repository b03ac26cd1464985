"""One transaction of the file, reading or writing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from hotplate.tasks.embedded import opening, problems
from hotplate.tasks.embedded.owners import pause


class Reading:
    """A view of the file as it was at one moment."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._entered = False

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run one statement.

        Raises:
            sqlite3.Error: it cannot be run.
        """
        if self._entered:
            return self._connection.execute(statement, tuple(values))
        cursor = self._patiently(statement, tuple(values))
        self._entered = True
        return cursor

    def listeners(self, topics: Iterable[str]) -> set[str]:
        """Return the names of the sockets of those who wait for one of the topics."""
        found: set[str] = set()
        for topic in topics:
            found.update(row[0] for row in self.execute("SELECT name FROM waiters WHERE topic = ?", (topic,)))
        return found

    def begin(self) -> None:
        """Begin; nothing is locked before something is read."""
        self._connection.execute("BEGIN")

    def abandon(self) -> None:
        """End, leaving no trace."""
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _patiently(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        tries, until = 0, 0.0
        while True:
            try:
                return self._connection.execute(statement, values)
            except sqlite3.OperationalError as problem:
                if not problems.is_busy(problem):
                    raise
                until = until or opening.deadline()
                if time.monotonic() > until:
                    raise
            pause(tries)
            tries += 1


class Writing(Reading):
    """Changes that are made together or not at all."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        super().__init__(connection, name)
        self._topics: set[str] = set()
        self._undone: list[Callable[[], None]] = []

    def executemany(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> sqlite3.Cursor:
        """Run one statement for every row.

        Raises:
            sqlite3.Error: it cannot be run.
        """
        return self._connection.executemany(statement, rows)

    def notify(self, topic: str) -> None:
        """Wake whoever waits for the topic, once this is committed."""
        self._topics.add(topic)

    def on_rollback(self, call: Callable[[], None]) -> None:
        """Call this if it is not."""
        self._undone.append(call)

    def room(self) -> int:
        """Return how many bytes of the file nobody uses any more."""
        free, size = (self.execute(f"PRAGMA {what}").fetchone()[0] for what in ("freelist_count", "page_size"))
        return int(free) * int(size)

    def begin(self) -> None:
        """Wait for one's turn, and keep everybody else from writing."""
        self._patiently("BEGIN IMMEDIATE")
        self._entered = True

    def commit(self) -> set[str]:
        """Make it so; return who is to be woken."""
        listeners = self.listeners(self._topics) if self._topics else set()
        self._connection.execute("COMMIT")
        self._undone.clear()
        return listeners

    def abandon(self, *, make_room: bool = False) -> None:
        """Take everything back.

        Args:
            make_room: move what the log has into the file, so that the log can be written from its beginning.
        """
        super().abandon()
        for call in self._undone:
            call()
        self._undone.clear()
        if make_room:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
