"""Which queues there are, whose they are, and which exchange leads to which: known to every process through the file.

A queue of one consumer alone (exclusive or auto-delete: replies, `celery inspect`, events) goes with its process.
"""

from __future__ import annotations

from typing import NamedTuple

from hotplate.tasks.embedded.transactions import Reading, Writing


class Binding(NamedTuple):
    """An exchange's way to a queue; `pattern` is a topic's key as a regular expression."""

    exchange: str
    key: str
    pattern: str
    queue: str


def declare(writing: Writing, queue: str, owner: int | None) -> None:
    """Have a queue; the last one to declare a queue that vanishes with its owner is the owner."""
    writing.execute(
        "INSERT INTO queues (name, owner) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner",
        (queue, owner),
    )


def is_declared(reading: Reading, queue: str, owner: int | None) -> bool:
    """Return whether there is such a queue already, of this owner."""
    return reading.execute("SELECT 1 FROM queues WHERE name = ? AND owner IS ?", (queue, owner)).fetchone() is not None


def exists(reading: Reading, queue: str) -> bool:
    """Return whether there is a queue of this name."""
    return reading.execute("SELECT 1 FROM queues WHERE name = ?", (queue,)).fetchone() is not None


def is_bound(reading: Reading, binding: Binding) -> bool:
    """Return whether the exchange leads to the queue already."""
    found = "SELECT 1 FROM bindings WHERE exchange = ? AND key = ? AND pattern = ? AND queue = ?"
    return reading.execute(found, binding).fetchone() is not None


def bind(writing: Writing, binding: Binding) -> None:
    """Lead an exchange to a queue."""
    writing.execute("INSERT OR IGNORE INTO bindings (exchange, key, pattern, queue) VALUES (?, ?, ?, ?)", binding)


def unbind(writing: Writing, exchange: str, key: str, queue: str) -> None:
    """Lead it there no more."""
    writing.execute("DELETE FROM bindings WHERE exchange = ? AND key = ? AND queue = ?", (exchange, key, queue))


def table(reading: Reading, exchange: str) -> list[tuple[str, str | None, str]]:
    """Return where an exchange leads, as kombu's exchange types read it: key, pattern, queue."""
    rows = reading.execute("SELECT key, pattern, queue FROM bindings WHERE exchange = ?", (exchange,))
    return [(key, pattern or None, queue) for key, pattern, queue in rows]


def delete(writing: Writing, queue: str) -> None:
    """Remove a queue with everything in it."""
    writing.execute("DELETE FROM messages WHERE queue = ?", (queue,))
    writing.execute("DELETE FROM bindings WHERE queue = ?", (queue,))
    writing.execute("DELETE FROM queues WHERE name = ?", (queue,))


def delete_exchange(writing: Writing, exchange: str) -> None:
    """Let an exchange lead nowhere."""
    writing.execute("DELETE FROM bindings WHERE exchange = ?", (exchange,))


def owned(reading: Reading, owner: int) -> list[str]:
    """Return the queues that go with an owner."""
    return [row[0] for row in reading.execute("SELECT name FROM queues WHERE owner = ?", (owner,))]
