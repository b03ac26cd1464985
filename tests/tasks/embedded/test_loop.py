"""In an event loop, as Celery's worker has one: what a tick does, and that an idle one does nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hotplate.tasks.embedded import messages, url
from hotplate.tasks.embedded.file import Store
from tests.support.waiting import DEADLINE
from tests.tasks.embedded.kombus import Connection, Hub, Queue


class Worker:
    """A consumer in kombu's event loop."""

    def __init__(self, path: Path) -> None:
        self.hub = Hub()
        self.connection = Connection(url(path))
        self.transport = self.connection.transport
        self.transport.register_with_event_loop(self.connection.connection, self.hub)
        self.got: list[Any] = []
        self.on_message: Callable[[Any], None] = lambda _message: None

    def consume(self, prefetch: int) -> None:
        """Begins to read from q."""
        consumer = self.connection.Consumer([Queue("q")], callbacks=[self._keep])
        consumer.qos(prefetch_count=prefetch)
        consumer.consume()

    def _keep(self, _body: object, message: Any) -> None:
        self.got.append(message)
        self.on_message(message)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Lets the loop turn until it is so."""
        until = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < until
            self.hub.run_once()

    def close(self) -> None:
        """Leaves the loop, and the broker."""
        self.connection.close()
        self.hub.close()


@pytest.fixture
def worker(path: Path) -> Iterator[Worker]:
    """A worker that consumes nothing yet."""
    worker = Worker(path)
    yield worker
    worker.close()


def send(connection: Any, *bodies: object, **options: Any) -> None:
    """Sends to the queue q."""
    for body in bodies:
        connection.Producer().publish(body, routing_key="q", serializer="json", **options)


def transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list that grows with every transaction that writes."""
    seen: list[float] = []
    write = store.write

    def counted(**options: Any) -> Any:
        seen.append(time.monotonic())
        return write(**options)

    monkeypatch.setattr(store, "write", counted)
    return seen


def test_messages_arrive_through_the_loop(worker: Worker, connection: Any) -> None:
    """Those that were there, and those that come while the loop sleeps."""
    send(connection, 1)
    worker.consume(prefetch=1)
    worker.on_message = lambda message: message.ack()
    worker.run_until(lambda: len(worker.got) == 1)
    threading.Timer(0.05, lambda: send(connection.clone(), 2)).start()
    worker.run_until(lambda: len(worker.got) == 2)
    assert [message.payload for message in worker.got] == [1, 2]


def test_a_turn_of_the_loop_settles_and_takes_in_one_transaction(
    worker: Worker, connection: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three acknowledgements and the next three messages cost one commit."""
    send(connection, *range(6))
    worker.consume(prefetch=3)
    worker.run_until(lambda: len(worker.got) == 3)
    seen = transactions(store, monkeypatch)
    for message in worker.got[:3]:
        message.ack()
    worker.run_until(lambda: len(worker.got) == 6)
    assert len(seen) == 1
    assert store.counts()["q"][:3] == (0, 0, 3)


def test_an_acknowledgement_is_written_before_the_loop_sleeps(worker: Worker, connection: Any, store: Store) -> None:
    """One turn of the loop later it is in the file."""
    send(connection, 1)
    worker.consume(prefetch=1)
    worker.run_until(lambda: len(worker.got) == 1)
    worker.got[0].ack()
    worker.hub.call_soon(lambda: None)
    worker.hub.run_once()
    assert store.counts()["q"][:3] == (0, 0, 0)


def test_what_another_thread_acknowledges_is_written_at_once(worker: Worker, connection: Any, store: Store) -> None:
    """While Celery's pool stops, no tick comes any more."""
    send(connection, 1)
    worker.consume(prefetch=1)
    worker.run_until(lambda: len(worker.got) == 1)
    thread = threading.Thread(target=worker.got[0].ack)
    thread.start()
    thread.join()
    assert store.counts()["q"][:3] == (0, 0, 0)


def test_what_is_acknowledged_after_the_loop_was_closed_is_written_at_once(
    worker: Worker, connection: Any, store: Store
) -> None:
    """Celery closes its loop before its connection."""
    send(connection, 1, 2)
    worker.consume(prefetch=2)
    worker.run_until(lambda: len(worker.got) == 2)
    worker.got[0].ack()
    worker.hub.close()
    assert store.counts()["q"][:3] == (0, 0, 1)
    worker.got[1].ack()
    assert store.counts()["q"][:3] == (0, 0, 0)


def test_an_idle_worker_writes_nothing(worker: Worker, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks around once a second, reading; the loop is woken by nothing else."""
    worker.consume(prefetch=1)
    for _ in range(3):
        worker.hub.run_once()
    seen = transactions(store, monkeypatch)
    looks: list[float] = []
    monkeypatch.setattr(messages, "has_ready", lambda *_: looks.append(time.monotonic()))
    turns = 0
    while len(looks) < 2:
        worker.hub.run_once()
        turns += 1
    assert seen == []
    assert turns <= 6


def test_a_full_worker_is_not_woken_in_vain_for_ever(worker: Worker, connection: Any, store: Store) -> None:
    """Messages that it has no room for are found when it has."""
    worker.consume(prefetch=1)
    send(connection, *range(4))
    worker.run_until(lambda: len(worker.got) == 1)
    for number in range(1, 4):
        worker.got[-1].ack()
        worker.run_until(lambda number=number: len(worker.got) == number + 1)  # type: ignore[misc]  # a default binds it
    assert [message.payload for message in worker.got] == [0, 1, 2, 3]


def test_a_due_message_wakes_the_loop(worker: Worker, connection: Any) -> None:
    """By an alarm of its own, not by the look around."""
    worker.consume(prefetch=1)
    due = time.time() + 0.2
    send(connection, 1, headers={"eta": datetime.fromtimestamp(due, UTC).isoformat()})
    worker.run_until(lambda: len(worker.got) == 1)
    assert time.time() >= due


def test_work_inside_the_loop_lets_acknowledgements_through(worker: Worker, connection: Any, store: Store) -> None:
    """A solo pool works while it is handed messages: what it has done is written before it gets the next."""
    done: list[int] = []

    def work(message: Any) -> None:
        time.sleep(0.02)  # longer than the loop hands over at a time
        done.append(store.counts()["q"].taken)
        message.ack()

    worker.on_message = work
    send(connection, *range(3))
    worker.consume(prefetch=3)
    worker.run_until(lambda: len(worker.got) == 3)
    assert done == [3, 2, 1]


def test_a_worker_that_leaves_the_loop_leaves_nothing_in_it(worker: Worker) -> None:
    """No reader, no timer, no tick of a closed connection."""
    worker.consume(prefetch=1)
    worker.hub.run_once()
    worker.connection.close()
    assert not worker.hub.on_tick
    assert worker.transport._waiting is None
    worker.hub.run_once()
