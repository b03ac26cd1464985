"""What the operator sees and does is the same on every broker, as far as that broker tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import admin, brokers
from hotplate.tasks.admin import reaching
from hotplate.tasks.admin.looking import look
from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import TasksReport
from hotplate.tasks.worker import parking
from tests.tasks.admin.conftest import BrokerOf, Opened

SOON = 0.2  # seconds to wait for workers of which there are none


def status(opened: Opened, *queues: str) -> TasksReport:
    """Look at a broker without workers."""
    return admin.status(opened.app, opened.broker, queues, patience=SOON)


def test_nothing_there(opened: Opened) -> None:
    """An empty broker is in order: nobody has to do anything."""
    found = status(opened)
    assert (found.healthy, found.problems, found.workers, found.running) == (True, (), (), ())
    assert found.broker.answers
    assert found.parked.total == 0
    assert sum(queue.depth or 0 for queue in found.queues) == 0


def test_waiting_without_workers(opened: Opened) -> None:
    """What waits is counted by queue, and that nobody works on it is said, with what to type."""
    opened.send("celery", "1", "2", "3")
    opened.send("mail", "4")
    found = status(opened, "mail")
    assert {queue.name: queue.depth for queue in found.queues} == {"celery": 3, "mail": 1}
    assert {queue.workers for queue in found.queues} == {0}
    assert not found.healthy
    (problem,) = found.problems
    assert problem.what == "4 tasks wait, and no worker answers"
    assert "hotplate run" in problem.remedy


def test_taken_and_delayed(opened: Opened) -> None:
    """What a worker has, and what is to be done later, is told from what waits, where the broker tells it."""
    later = datetime.now(UTC) + timedelta(hours=1)
    opened.send("celery", "1", eta=later.isoformat(), priority=3)
    opened.send("celery", "2", "3", "4")
    with reaching.connected(opened.app, "work") as connection:
        held = [connection.default_channel.basic_get("celery") for _ in range(2)]
        (queue,) = status(opened).queues
        for message in held:
            message.channel.basic_reject(message.delivery_tag, requeue=True)
    match opened.server.kind:
        case "embedded":
            assert (queue.depth, queue.delayed, queue.taken) == (1, 1, 2)
            assert queue.oldest is not None
        case "redis":
            assert (queue.depth, queue.delayed, queue.taken) == (2, 1, 1)
        case _:
            assert (queue.depth, queue.delayed, queue.taken, queue.oldest) == (2, None, None, None)


def test_looking_leaves_tasks_alone(opened: Opened) -> None:
    """A task that somebody looked at is delivered as if for the first time."""
    opened.send("celery", "1")
    status(opened)
    (message,) = opened.taken("celery")
    assert not message.delivery_info.get("redelivered")


def test_parked(opened: Opened) -> None:
    """Parked tasks are counted by reason, each once, and the newest are shown first."""
    opened.park("1", "2", at=10.0)
    opened.park("3", reason="poison", at=30.0, detail="killed its process 5 times")
    opened.park("2", at=11.0)  # a copy left by a retry that was killed
    found = status(opened).parked
    assert (found.total, found.reasons) == (3, {"failed": 2, "poison": 1})
    assert [task.id for task in found.newest] == ["3", "2", "1"]
    assert found.newest[0].detail == "killed its process 5 times"
    assert status(opened).parked == found  # looking took nothing away


def test_retrying_one(opened: Opened) -> None:
    """A task that is tried again waits in its queue as if never tried, and is parked no more."""
    opened.send("celery")
    opened.park("1", "2", "3")
    opened.park("2")
    declared(opened, "celery")
    done = admin.retry(opened.app, opened.broker, admin.Wanted(("2",)))
    assert ([task.id for task in done.retried], done.left) == (["2"], 2)
    (message,) = opened.taken("celery")
    assert message.headers["id"] == "2"
    assert message.headers["retries"] == 0
    assert parking.HEADER not in message.headers
    assert message.decode() == [["2"], {}, {}]
    assert {task.id for task in status(opened).parked.newest} == {"1", "3"}


def test_retrying_many(opened: Opened) -> None:
    """All of a reason or a name can be meant; they go back to the queues they came from, oldest first."""
    declared(opened, "celery", "mail")
    opened.park("1", "2", queue="mail")
    opened.park("3", reason="poison")
    opened.park("4", task="shop.other")
    done = admin.retry(opened.app, opened.broker, admin.Wanted(reason="failed", task="shop.mail"))
    assert [task.id for task in done.retried] == ["1", "2"]
    assert [message.headers["id"] for message in opened.taken("mail")] == ["1", "2"]
    assert admin.retry(opened.app, opened.broker, admin.Wanted()).left == 0
    assert {message.headers["id"] for message in opened.taken("celery")} == {"3", "4"}
    assert status(opened).parked.total == 0


def test_retrying_what_is_not_parked(opened: Opened) -> None:
    """An id that is not parked is refused before anything is done."""
    declared(opened, "celery")
    opened.park("1")
    with pytest.raises(HotplateError, match="no parked task has that id") as refused:
        admin.retry(opened.app, opened.broker, admin.Wanted(("1", "7")))
    assert refused.value.code is ExitCode.USAGE
    assert opened.taken("celery") == []
    assert status(opened).parked.total == 1


def test_killed_half_way(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry that ends between the two steps of a task has lost none: some are in both places, none in neither."""
    declared(opened, "celery")
    opened.park("1", "2", "3")
    real = parking.again
    calls = iter([False, True])

    def dying(app: object, message: object) -> str:
        queue = real(app, message)
        if next(calls):
            raise KeyboardInterrupt
        return queue

    monkeypatch.setattr(parking, "again", dying)
    with pytest.raises(KeyboardInterrupt):
        admin.retry(opened.app, opened.broker, admin.Wanted())
    assert {task.id for task in status(opened).parked.newest} == {"2", "3"}
    assert {message.headers["id"] for message in opened.taken("celery")} == {"1", "2"}


def test_parked_again_meanwhile(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that fails again at once, while others are still being tried again, is parked and stays so."""
    declared(opened, "celery")
    opened.park("1", "2")
    real = parking.again

    def failing(app: object, message: object) -> str:
        queue = real(app, message)
        opened.park("1", at=99.0)
        return queue

    monkeypatch.setattr(parking, "again", failing)
    admin.retry(opened.app, opened.broker, admin.Wanted())
    assert len(opened.taken("celery")) == 2
    assert [(task.id, task.at) for task in status(opened).parked.newest] == [("1", 99.0)]


def test_many_parked(opened: Opened) -> None:
    """More than are asked for at a time: all are gone through, wherever the removed ones leave gaps."""
    declared(opened, "celery")
    ids = [str(number) for number in range(250)]
    opened.park(*ids)
    with reaching.connected(opened.app, "look") as connection:
        inside = look(connection, opened.broker.kind)
        assert [task.id for task in inside.parked()] == ids
        with inside.walk() as entries:
            assert [removed(entry) for entry in entries] == ids
        assert [task.id for task in inside.parked()] == [each for each in ids if int(each) % 3]


def removed(entry: Entry) -> str:
    """Remove every third, and return the id."""
    if int(entry.task.id) % 3 == 0:
        entry.remove()
    return entry.task.id


def test_purging(opened: Opened) -> None:
    """What waits is counted before, and thrown away; another queue and the parked ones are not touched."""
    opened.send("celery", "1", "2")
    opened.send("mail", "3")
    opened.park("4")
    assert admin.waiting(opened.app, opened.broker, "celery") == 2
    assert admin.purge(opened.app, opened.broker, "celery").purged == 2
    found = status(opened, "mail")
    assert {queue.name: queue.depth for queue in found.queues} == {"celery": 0, "mail": 1}
    assert admin.waiting(opened.app, opened.broker, admin.PARKED) == 1
    assert admin.purge(opened.app, opened.broker, admin.PARKED).purged == 1
    assert status(opened).parked.total == 0


def test_as_many_are_thrown_away_as_were_asked_about(opened: Opened) -> None:
    """A task that waits for its time lies in the file, and goes; elsewhere its worker has it, and keeps it."""
    later = datetime.now(UTC) + timedelta(hours=1)
    opened.send("celery", "1", eta=later.isoformat(), priority=3)
    opened.send("celery", "2", "3")
    with reaching.connected(opened.app, "work") as connection:
        held = connection.default_channel.basic_get("celery")
        asked = admin.waiting(opened.app, opened.broker, "celery")
        assert admin.purge(opened.app, opened.broker, "celery").purged == asked == 2
        held.channel.basic_reject(held.delivery_tag, requeue=True)


def declared(opened: Opened, *queues: str) -> None:
    """Have queues exist, as workers make them."""
    with opened.app.connection_for_write() as connection:
        for queue in queues:
            opened.app.amqp.queues[queue](connection.default_channel).declare()


@pytest.mark.parametrize("kind", [pytest.param("redis", marks=pytest.mark.redis)])
def test_frozen(kind: str, broker_of: BrokerOf) -> None:
    """A server that takes a connection and then says nothing is not waited for."""
    opened = Opened(broker_of(kind))
    with opened.server.frozen():
        found = status(opened)
    assert not found.broker.answers
    assert not found.healthy


@pytest.mark.parametrize("url", ["redis://:geheim@127.0.0.1:1/0", "amqp://shop:geheim@127.0.0.1:1//"])
def test_nobody_there(url: str) -> None:
    """Where no server is, that is said without the password, in status and by the commands that would do something."""
    broker = brokers.described(url, "CELERY_BROKER_URL")
    app = reaching.application(broker, "shop")
    (problem,) = admin.status(app, broker, patience=SOON).problems
    assert "Connection refused" in problem.what
    assert "geheim" not in problem.what
    with pytest.raises(HotplateError, match="Connection refused") as refused:
        admin.retry(app, broker, admin.Wanted())
    assert refused.value.code is ExitCode.FAILED
    assert "geheim" not in str(refused.value)


def test_damaged(tmp_path: Path) -> None:
    """A file that is no broker is left as it is, and what its broker advises is passed on."""
    path = tmp_path / "tasks.sqlite"
    path.write_text("junk")
    broker = brokers.described(f"hotplate:///{path}", "embedded")
    (problem,) = admin.status(reaching.application(broker, "shop"), broker, patience=SOON).problems
    assert "damaged" in problem.what
    assert path.read_text() == "junk"
