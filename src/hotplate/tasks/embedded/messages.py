"""The life of a message, as statements of one transaction: put, taken, settled, given back.

Every function takes the transaction it is part of; none of them commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hotplate.tasks.embedded.transactions import Reading, Writing

HIGHEST = 9


class Count(NamedTuple):
    """What a queue has.

    Args:
        ready: may be taken now.
        delayed: not yet due.
        taken: a process's, not acknowledged yet.
        oldest_age: seconds since the oldest ready one was sent; 0 where there is none.
    """

    ready: int = 0
    delayed: int = 0
    taken: int = 0
    oldest_age: float = 0.0


class Outgoing(NamedTuple):
    """A message as it is put.

    Args:
        queue: where to.
        payload: see `envelope`.
        priority: 0 to 9; 9 is taken first.
        due: seconds since 1970 before which nobody gets it; None for at once.
    """

    queue: str
    payload: bytes
    priority: int = 0
    due: float | None = None


class Taken(NamedTuple):
    """A message as its owner gets it."""

    id: int
    queue: str
    redelivered: bool
    payload: bytes


class Peeked(NamedTuple):
    """A message as somebody sees it who does not take it."""

    id: int
    queue: str
    priority: int
    state: str
    due: float | None
    at: float
    redelivered: bool
    payload: bytes


def topic(queue: str) -> str:
    """Return what consumers of a queue wait for."""
    return f"queue:{queue}"


def put(writing: Writing, outgoing: Outgoing, now: float) -> int:
    """Add a message; its consumers are woken at the commit. Return its number."""
    cursor = writing.execute(
        "INSERT INTO messages (queue, rank, due, at, payload) VALUES (?, ?, ?, ?, ?)",
        (outgoing.queue, HIGHEST - outgoing.priority, outgoing.due, now, outgoing.payload),
    )
    writing.notify(topic(outgoing.queue))
    return int(cursor.lastrowid or 0)


def promote(writing: Writing, now: float) -> int:
    """Make ready what is due by now; return how many were."""
    return writing.execute(
        "UPDATE messages SET due = NULL WHERE owner IS NULL AND due IS NOT NULL AND due <= ?", (now,)
    ).rowcount


def next_due(reading: Reading) -> float | None:
    """Return when the first of the delayed ones is due, in seconds since 1970."""
    row = reading.execute(
        "SELECT due FROM messages WHERE owner IS NULL AND due IS NOT NULL ORDER BY due LIMIT 1"
    ).fetchone()
    return None if row is None else float(row[0])


def has_ready(reading: Reading, queues: Iterable[str]) -> bool:
    """Return whether any of the queues has something to take."""
    look = "SELECT 1 FROM messages WHERE queue = ? AND owner IS NULL AND due IS NULL LIMIT 1"
    return any(reading.execute(look, (queue,)).fetchone() for queue in queues)


def take(writing: Writing, queues: Sequence[str], limit: int, owner: int | None) -> list[Taken]:
    """Take up to `limit` messages: the highest priority of each queue first, the queues in turn.

    Args:
        writing: the transaction.
        queues: their names; the first one has the first turn.
        limit: how many.
        owner: whose they are from now on; None: they are gone (consumers that acknowledge nothing).
    """
    heads = [_head(writing, queue, limit) for queue in queues]
    found = _in_turn(heads, limit)
    if owner is None:
        writing.executemany("DELETE FROM messages WHERE id = ?", [(taken.id,) for taken in found])
    else:
        writing.executemany("UPDATE messages SET owner = ? WHERE id = ?", [(owner, taken.id) for taken in found])
    return found


def acknowledge(writing: Writing, owner: int, ids: Iterable[int]) -> None:
    """Remove messages that are done."""
    writing.executemany("DELETE FROM messages WHERE id = ? AND owner = ?", [(one, owner) for one in ids])


def give_back(writing: Writing, owner: int, ids: Iterable[int], *, seen: bool = True) -> None:
    """Let others have messages, where they were in their queue.

    Args:
        writing: the transaction.
        owner: whose they were.
        ids: which.
        seen: somebody may have begun to work on them.
    """
    for one in ids:
        row = writing.execute("SELECT queue FROM messages WHERE id = ? AND owner = ?", (one, owner)).fetchone()
        if row is not None:
            writing.execute(
                "UPDATE messages SET owner = NULL, redelivered = max(redelivered, ?) WHERE id = ?", (int(seen), one)
            )
            writing.notify(topic(row[0]))


def give_back_all(writing: Writing, owner: int) -> int:
    """Let others have everything an owner had, as after its death; return how many."""
    for row in writing.execute("SELECT DISTINCT queue FROM messages WHERE owner = ?", (owner,)).fetchall():
        writing.notify(topic(row[0]))
    return writing.execute("UPDATE messages SET owner = NULL, redelivered = 1 WHERE owner = ?", (owner,)).rowcount


def purge(writing: Writing, queue: str) -> int:
    """Remove what nobody has taken, due or not; return how many."""
    return writing.execute("DELETE FROM messages WHERE queue = ? AND owner IS NULL", (queue,)).rowcount


def size(reading: Reading, queue: str) -> int:
    """Return how many messages of a queue may be taken now."""
    count = "SELECT count(*) FROM messages WHERE queue = ? AND owner IS NULL AND due IS NULL"
    return int(reading.execute(count, (queue,)).fetchone()[0])


def counts(reading: Reading, now: float) -> dict[str, Count]:
    """Return what every queue has; declared queues without messages are in it."""
    found: dict[str, Count] = {row[0]: Count() for row in reading.execute("SELECT name FROM queues")}
    for field, condition in (
        ("ready", "owner IS NULL AND due IS NULL"),
        ("delayed", "owner IS NULL AND due IS NOT NULL"),
        ("taken", "owner IS NOT NULL"),
    ):
        for queue, number in reading.execute(f"SELECT queue, count(*) FROM messages WHERE {condition} GROUP BY queue"):  # noqa: S608  # conditions above
            found[queue] = found.get(queue, Count())._replace(**{field: number})
    return {
        queue: count._replace(oldest_age=_oldest_age(reading, queue, now)) if count.ready else count
        for queue, count in sorted(found.items())
    }


def peek(reading: Reading, queue: str, limit: int) -> list[Peeked]:
    """Return a queue's messages: ready ones as they would be taken, then delayed ones as they come due, then taken."""
    rows = reading.execute(
        "SELECT id, rank, owner, due, at, redelivered, payload FROM messages WHERE queue = ?"
        " ORDER BY owner IS NOT NULL, due IS NOT NULL, due, rank, id LIMIT ?",
        (queue, limit),
    )
    return [
        Peeked(
            number,
            queue,
            HIGHEST - rank,
            "taken" if owner is not None else "ready" if due is None else "delayed",
            due,
            at,
            bool(redelivered),
            payload,
        )
        for number, rank, owner, due, at, redelivered, payload in rows
    ]


def _head(reading: Reading, queue: str, limit: int) -> list[Taken]:
    rows = reading.execute(
        "SELECT id, redelivered, payload FROM messages WHERE queue = ? AND owner IS NULL AND due IS NULL"
        " ORDER BY rank, id LIMIT ?",
        (queue, limit),
    )
    return [Taken(number, queue, bool(redelivered), payload) for number, redelivered, payload in rows]


def _in_turn(heads: list[list[Taken]], limit: int) -> list[Taken]:
    if len(heads) == 1:
        return heads[0]
    longest = max(map(len, heads), default=0)
    return [head[turn] for turn in range(longest) for head in heads if turn < len(head)][:limit]


def _oldest_age(reading: Reading, queue: str, now: float) -> float:
    first = "SELECT at FROM messages WHERE queue = ? AND rank = ? AND owner IS NULL AND due IS NULL ORDER BY id LIMIT 1"
    rows = (reading.execute(first, (queue, rank)).fetchone() for rank in range(HIGHEST + 1))
    return max((now - row[0] for row in rows if row is not None), default=0.0)
