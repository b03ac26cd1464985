"""Looking at workers that work, and trying again what they parked, on each broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.tasks import admin, brokers
from hotplate.tasks.admin import reaching
from hotplate.tasks.admin.report import TasksReport
from tests.support.brokers import Broker
from tests.support.waiting import wait_until
from tests.tasks.brokers.bench import MODULE, Bench, bench, fresh

pytestmark = pytest.mark.process


@pytest.fixture
def at(broker: Broker, tmp_path: Path) -> Iterator[Bench]:
    """A bench with a worker, whose queue has arguments of its own on RabbitMQ."""
    folder = tmp_path / "work"
    folder.mkdir()
    with bench(broker, folder) as made:
        made.worker()
        yield made


def look(at: Bench) -> TasksReport:
    """Look as the command does, knowing nothing but the broker's address."""
    broker = brokers.described(at.broker.url, "CELERY_BROKER_URL")
    return admin.status(reaching.application(broker, "work"), broker)


def test_running(at: Bench) -> None:
    """A task that runs is shown with its id, name and seconds, and its worker with what it has done."""
    done, held = fresh(2)
    at.send("do", done)
    at.wait("done", [done])
    at.send("hold", held)
    at.wait("began", [held])
    found = look(at)
    assert found.healthy
    (task,) = found.running
    assert task.task == f"{MODULE}.hold"
    assert task.seconds is not None
    (worker,) = found.workers
    assert (worker.kind, worker.running, worker.done, worker.queues) == ("hotplate", 1, 1, ("celery",))
    assert found.minute.done == 1
    (queue,) = found.queues
    assert (queue.name, queue.depth, queue.workers) == ("celery", 0, 1)
    assert queue.taken == (None if at.broker.kind == "rabbitmq" else 1)
    at.open(held)
    at.wait("done", [held])


def test_parked_and_tried_again(at: Bench) -> None:
    """A task that failed is shown with its exception; tried again, it runs again, and is parked again if it must be."""
    (name,) = fresh(1)
    at.send("total", name)  # which is no list of numbers
    first = wait_until(lambda: look(at).parked.newest, what="it is parked")
    assert (first[0].reason, first[0].task, first[0].queue) == ("failed", f"{MODULE}.total", "celery")
    assert first[0].detail
    broker = brokers.described(at.broker.url, "CELERY_BROKER_URL")
    done = admin.retry(reaching.application(broker, "work"), broker, admin.Wanted((first[0].id,)))
    assert [task.id for task in done.retried] == [first[0].id]
    again = wait_until(
        lambda: [task for task in look(at).parked.newest if task.at > first[0].at], what="it is parked again"
    )
    assert again[0].id == first[0].id
