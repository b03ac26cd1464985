"""What the embedded file holds of results: each task's latest state, saved groups, chords that wait for their parts.

Here is the SQL, and nothing of Celery; `results.py` is what Celery talks to.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from hotplate.tasks.embedded.file import Store, Writing

_SCHEMA = (
    # `meta` comes last: a row's early columns are read without touching the pages a long value overflows to.
    "CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, state TEXT NOT NULL, expires REAL, meta BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS results_expires ON results (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS result_groups (id TEXT PRIMARY KEY, expires REAL, meta BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS result_groups_expires ON result_groups (expires) WHERE expires IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS chords (id TEXT PRIMARY KEY, size INTEGER, added INTEGER NOT NULL DEFAULT 0,
    arrived INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, expires REAL)""",
    "CREATE INDEX IF NOT EXISTS chords_expires ON chords (expires) WHERE expires IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS chord_parts (chord TEXT NOT NULL, task TEXT NOT NULL, place INTEGER NOT NULL,
    value BLOB NOT NULL, UNIQUE (chord, task, place))""",
)
# Rows that one write transaction deletes: whoever waits for it waits a few milliseconds.
_BATCH = 200
# Ids that one question asks for; SQLite takes 32,766 parameters at most (sqlite.org/limits.html).
_IDS = 500
# The place of a part whose task was given none: after all others, in the order of arrival.
_LAST = 2**62


class Part(NamedTuple):
    """What one task of a chord's header came to.

    Args:
        chord: id of the header's group.
        task: id of the task.
        place: its index in the header, None where it has none.
        value: encoded outcome.
    """

    chord: str
    task: str
    place: int | None
    value: bytes


class ResultTable:
    """Results, groups and chords in one embedded file; safe for threads and across forks because the store is.

    Args:
        store: the open file.
        clock: seconds since the epoch; what expires does so by it.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._furnished = False

    def save(self, task: str, state: str, meta: bytes, lifetime: float | None) -> None:
        """Keep a task's state and what belongs to it; a success is final, as Celery's own backends have it.

        Args:
            task: id.
            state: Celery's word for it.
            meta: encoded.
            lifetime: seconds until it is forgotten, None or 0 for never.
        """
        with self._write() as writing:
            writing.execute(
                "INSERT INTO results (id, state, expires, meta) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET state = excluded.state, expires = excluded.expires, meta = excluded.meta"
                " WHERE results.state <> 'SUCCESS' OR results.expires <= ?",
                (task, state, self._expires(lifetime), meta, self._clock()),
            )

    def load(self, task: str) -> bytes | None:
        """Return what was kept of a task, None where there is nothing or it has expired."""
        return self._one("SELECT meta FROM results WHERE id = ? AND (expires IS NULL OR expires > ?)", task)

    def load_in(self, tasks: Sequence[str], among: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield id and what was kept of those of the tasks whose state is among the given."""
        wanted = ", ".join("?" * len(among))
        for start in range(0, len(tasks), _IDS):
            ids = tasks[start : start + _IDS]
            marks = ", ".join("?" * len(ids))
            yield from self._ask(
                f"SELECT id, meta FROM results WHERE id IN ({marks}) AND state IN ({wanted})"  # noqa: S608 - only question marks are put in
                " AND (expires IS NULL OR expires > ?)",
                (*ids, *among, self._clock()),
            )

    def forget(self, task: str) -> None:
        """Drop what was kept of a task."""
        with self._write() as writing:
            writing.execute("DELETE FROM results WHERE id = ?", (task,))

    def save_group(self, group: str, meta: bytes, lifetime: float | None) -> None:
        """Keep a group's structure for so many seconds, None or 0 for ever."""
        with self._write() as writing:
            writing.execute(
                "INSERT OR REPLACE INTO result_groups (id, expires, meta) VALUES (?, ?, ?)",
                (group, self._expires(lifetime), meta),
            )

    def load_group(self, group: str) -> bytes | None:
        """Return a group's structure as it was kept, None where there is nothing or it has expired."""
        return self._one("SELECT meta FROM result_groups WHERE id = ? AND (expires IS NULL OR expires > ?)", group)

    def forget_group(self, group: str) -> None:
        """Drop a group's structure; the results of its tasks stay."""
        with self._write() as writing:
            writing.execute("DELETE FROM result_groups WHERE id = ?", (group,))

    def begin_chord(self, chord: str, size: int, lifetime: float | None) -> None:
        """Say how many parts a chord waits for; a chord that was done begins anew, since its header was sent again."""
        with self._write() as writing:
            writing.execute(
                "DELETE FROM chord_parts WHERE chord = ? AND EXISTS (SELECT 1 FROM chords WHERE id = ? AND done)",
                (chord, chord),
            )
            writing.execute(
                "INSERT INTO chords (id, size, expires) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " size = excluded.size, expires = excluded.expires, added = CASE WHEN done THEN 0 ELSE added END,"
                " arrived = CASE WHEN done THEN 0 ELSE arrived END, done = 0",
                (chord, size, self._expires(lifetime)),
            )

    def enlarge_chord(self, chord: str, lifetime: float | None) -> None:
        """Let a chord wait for one part more."""
        with self._write() as writing:
            writing.execute(
                "INSERT INTO chords (id, added, expires) VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE"
                " SET added = added + 1",
                (chord, self._expires(lifetime)),
            )

    def add_part(self, part: Part, lifetime: float | None) -> bool:
        """Keep one part, once however often its task runs, and say whether the chord has now all it waits for.

        The count and the part are of one transaction, so no death can come between them.
        """
        place = _LAST if part.place is None else part.place
        with self._write() as writing:
            [(done,)] = writing.execute(
                "INSERT INTO chords (id, expires) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET expires ="
                " CASE WHEN done THEN expires ELSE excluded.expires END RETURNING done",
                (part.chord, self._expires(lifetime)),
            ).fetchall()
            if done:
                return False
            added = writing.execute(
                "INSERT OR IGNORE INTO chord_parts (chord, task, place, value) VALUES (?, ?, ?, ?)",
                (part.chord, part.task, place, part.value),
            ).rowcount
            [(wanted, arrived)] = writing.execute(
                "UPDATE chords SET arrived = arrived + ? WHERE id = ? RETURNING size + added, arrived",
                (added, part.chord),
            ).fetchall()
            return wanted is not None and bool(arrived == wanted)

    def is_open(self, chord: str) -> bool:
        """Say whether a chord's body has still to be sent."""
        return self._ask("SELECT done FROM chords WHERE id = ?", (chord,)) == [(0,)]

    def parts(self, chord: str) -> list[bytes]:
        """Return the encoded parts in the header's order."""
        rows = self._ask("SELECT value FROM chord_parts WHERE chord = ? ORDER BY place, rowid", (chord,))
        return [value for (value,) in rows]

    def end_chord(self, chord: str) -> None:
        """Let the parts go; that the body was sent stays known, so that a late copy of a task cannot send it again."""
        with self._write() as writing:
            writing.execute("UPDATE chords SET done = 1 WHERE id = ?", (chord,))
            writing.execute("DELETE FROM chord_parts WHERE chord = ?", (chord,))
            writing.execute("DELETE FROM result_groups WHERE id = ?", (chord,))

    def expire(self) -> bool:
        """Delete a small batch of what has expired, and say whether there may be more."""
        now = self._clock()
        deleted = 0
        for table in ("results", "result_groups"):
            deleted = max(deleted, self._expire(table, now))
        return max(deleted, self._expire_chords(now)) >= _BATCH

    def _expire(self, table: str, now: float) -> int:
        # Nearly always there is nothing: a look costs nobody anything, a write transaction makes others wait.
        if not self._ask(f"SELECT 1 FROM {table} WHERE expires <= ? LIMIT 1", (now,)):  # noqa: S608 - a table of ours
            return 0
        with self._write() as writing:
            return writing.execute(
                f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE expires <= ? LIMIT {_BATCH})",  # noqa: S608 - a table of ours
                (now,),
            ).rowcount

    def _expire_chords(self, now: float) -> int:
        gone = self._ask("SELECT id FROM chords WHERE expires <= ? LIMIT ?", (now, _BATCH))
        for (chord,) in gone:
            with self._write() as writing:
                writing.execute("DELETE FROM chord_parts WHERE chord = ?", (chord,))
                writing.execute("DELETE FROM chords WHERE id = ? AND expires <= ?", (chord, now))
        return len(gone)

    def _one(self, question: str, name: str) -> bytes | None:
        found = self._ask(question, (name, self._clock()))
        return bytes(found[0][0]) if found else None

    def _expires(self, lifetime: float | None) -> float | None:
        return self._clock() + lifetime if lifetime else None

    @contextmanager
    def _write(self) -> Iterator[Writing]:
        if not self._furnished:
            # At the first write only: whoever just asks for results must not need room on the disk.
            self._store.require(_SCHEMA)
            self._furnished = True
        with self._store.write() as writing:
            yield writing

    def _ask(self, question: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            with self._store.read() as reading:
                return reading.execute(question, values).fetchall()
        except sqlite3.OperationalError as problem:
            if "no such table" in str(problem):  # nobody has written a result yet
                return []
            raise
