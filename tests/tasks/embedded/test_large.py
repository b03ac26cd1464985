"""A long queue: as fast as a short one, and no bigger on the disk than it has to be."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from hotplate.tasks.embedded import messages
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Outgoing
from hotplate.tasks.embedded.sweep import tidy

MANY = 100_000


def fill(store: Store, count: int) -> None:
    """Sends many messages, a tenth of them for later."""
    with store.write() as writing:
        for number in range(count):
            due = None if number % 10 else 2e9 + number
            messages.put(writing, Outgoing("q", b"x" * 200, number % 3, due), 0.0)


def steps(store: Store, work: Callable[[], None]) -> int:
    """Virtual machine instructions, in hundreds, that SQLite needs for something: a measure without a clock."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    connection = store._opened()
    connection.set_progress_handler(step, 100)
    work()
    connection.set_progress_handler(None, 100)
    return count


def cycle(store: Store) -> None:
    """Puts one, takes one, acknowledges it, and looks when the next is due."""
    with store.write() as writing:
        messages.put(writing, Outgoing("q", b"x"), 0.0)
    with store.write() as writing:
        owner = store.owner(writing)
        messages.promote(writing, 1e9)
        taken = messages.take(writing, ["q"], 1, owner)
        messages.next_due(writing)
        messages.has_ready(writing, ["q"])
    with store.write() as writing:
        messages.acknowledge(writing, owner, [taken[0].id])


def cycles(store: Store, count: int) -> None:
    """Does so many times."""
    for _ in range(count):
        cycle(store)


def test_a_hundred_thousand_waiting_messages_slow_nobody_down(store: Store) -> None:
    """Putting, taking and acknowledging run no more of SQLite's steps than with ten waiting."""
    fill(store, 10)
    cycle(store)
    few = steps(store, lambda: cycles(store, 20))
    fill(store, MANY)
    many = steps(store, lambda: cycles(store, 20))
    assert many <= few * 1.5 + 5


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            "SELECT id FROM messages WHERE queue = 'q' AND owner IS NULL AND due IS NULL ORDER BY rank, id LIMIT 1",
            "ready",
        ),
        ("SELECT due FROM messages WHERE owner IS NULL AND due IS NOT NULL ORDER BY due LIMIT 1", "delayed"),
        ("UPDATE messages SET due = NULL WHERE owner IS NULL AND due IS NOT NULL AND due <= 1", "delayed"),
        ("UPDATE messages SET owner = NULL, redelivered = 1 WHERE owner = 1", "taken"),
    ],
)
def test_every_question_has_its_index(store: Store, statement: str, index: str) -> None:
    """SQLite's own plan searches the index that was made for it, and sorts nothing."""
    with store.read() as reading:
        plan = " ".join(str(row[3]) for row in reading.execute("EXPLAIN QUERY PLAN " + statement))
    assert index in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN messages" not in plan.replace("SCAN messages USING", "")


def test_the_file_shrinks_again(store: Store) -> None:
    """After a burst its room goes back to the disk, bit by bit; the log does not grow with what went through it."""
    fill(store, 50_000)
    store.close()
    big = store.path.stat().st_size
    with store.write() as writing:
        messages.purge(writing, "q")
    for _ in range(20):
        tidy(store)
    log = store.path.with_name(store.path.name + "-wal").stat().st_size
    store.close()
    assert store.path.stat().st_size < big / 4
    assert log < 2 * big


def test_the_log_is_used_again_and_again(store: Store) -> None:
    """However much goes through, it stays at some megabytes."""
    cycles(store, 3000)
    assert store.path.with_name(store.path.name + "-wal").stat().st_size < 8 * 2**20
    store.close()
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert other.execute("PRAGMA page_count").fetchone()[0] < 200
