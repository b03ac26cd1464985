"""Messages for later."""

import time
from datetime import UTC, datetime
from typing import Any

from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.transport import Transport
from tests.tasks.embedded.inbox import Inbox, send
from tests.tasks.embedded.kombus import Queue


def at(seconds: float) -> str:
    """Celery's header for a time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_a_message_is_held_until_it_is_due(connection: Any, store: Store) -> None:
    """In the broker, not in a worker's memory; by the time of day, which a test sets."""
    transport: Transport = connection.transport
    clock = [1_000_000.0]
    transport.now = lambda: clock[0]
    inbox = Inbox(connection, [Queue("q")])
    send(connection, "later", headers={"eta": at(clock[0] + 60)})
    send(connection, "now", headers={"eta": at(clock[0] - 60)})
    assert inbox.get() == ["now"]
    assert inbox.is_empty()
    assert store.counts()["q"][:3] == (0, 1, 1)
    clock[0] += 59.9
    assert inbox.is_empty()
    clock[0] += 0.2
    assert inbox.get() == ["later"]


def test_a_clock_set_back_holds_nothing_twice(connection: Any) -> None:
    """What was due once is not held again; what is not yet due waits for the new clock."""
    transport: Transport = connection.transport
    clock = [1_000_000.0]
    transport.now = lambda: clock[0]
    send(connection, 1, headers={"eta": at(clock[0] + 60)})
    inbox = Inbox(connection, [Queue("q")])
    clock[0] -= 3600
    assert inbox.is_empty()
    clock[0] += 3600 + 61
    assert inbox.get() == [1]
    clock[0] -= 3600
    inbox.messages[0].requeue()
    assert inbox.get() == [1]


def test_waiting_ends_when_a_message_is_due(connection: Any) -> None:
    """The next due message is waited for exactly, not looked for."""
    inbox = Inbox(connection, [Queue("q")])
    assert inbox.is_empty()
    connection.transport.turns.next_look = time.monotonic() + 1000
    due = time.time() + 0.1
    send(connection, 1, headers={"eta": at(due)})
    connection.drain_events(timeout=30)
    assert time.time() >= due
    assert inbox.messages


def test_a_time_without_a_zone_is_the_workers_to_hold(connection: Any) -> None:
    """Only its app's settings say which zone is meant."""
    inbox = Inbox(connection, [Queue("q")])
    send(connection, 1, headers={"eta": "2999-01-01T00:00:00"})
    send(connection, 2, headers={"eta": "tomorrow"})
    assert inbox.get(2) == [1, 2]
