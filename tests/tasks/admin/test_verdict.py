"""What is called wrong, and what is advised."""

from __future__ import annotations

from typing import Literal

import pytest

from hotplate.tasks.admin.report import BrokerReport, QueueReport, TaskWorker
from hotplate.tasks.admin.verdict import problems


def broker(kind: Literal["embedded", "redis", "amqp", "other"] = "redis", *, answers: bool = True) -> BrokerReport:
    """Return a broker."""
    return BrokerReport(kind=kind, url="redis://queue", origin="REDIS_URL", answers=answers)


def queue(name: str = "celery", depth: int = 0, delayed: int = 0, workers: int = 0) -> QueueReport:
    """Return a queue."""
    return QueueReport(name=name, depth=depth, delayed=delayed, taken=0, oldest=None, workers=workers)


def worker(problem: str = "") -> TaskWorker:
    """Return a worker."""
    return TaskWorker(
        name="hotplate-1@here", kind="hotplate", pid=1, processes=2, uptime=3.0, queues=("celery",), running=0, done=0,
        failed=0, retried=0, parked=0, problem=problem,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("redis", "systemctl start redis-server"),
        ("amqp", "systemctl start rabbitmq-server"),
        ("embedded", "readable and writable"),
        ("other", "correct REDIS_URL"),
    ],
)
def test_silent_broker(kind: Literal["embedded", "redis", "amqp", "other"], words: str) -> None:
    """A broker that does not answer is the one thing to say, with how to start it."""
    (problem,) = problems(broker(kind, answers=False), "Connection refused", [queue(depth=5)], [])
    assert problem.what == "the broker at redis://queue does not answer: Connection refused"
    assert words in problem.remedy


def test_nothing_to_do() -> None:
    """Without work no worker is needed, and with workers for all of it nothing is wrong."""
    assert problems(broker(), "", [], []) == ()
    assert problems(broker(), "", [queue()], []) == ()
    assert problems(broker(), "", [queue(depth=9, workers=1)], [worker()]) == ()


def test_no_workers() -> None:
    """Delayed tasks need a worker as well; parked ones do not."""
    (problem,) = problems(broker(), "", [queue(depth=1), queue("mail", delayed=2), queue("hotplate.parked", 7)], [])
    assert problem.what == "3 tasks wait, and no worker answers"
    (problem,) = problems(broker(), "", [queue(depth=1)], [])
    assert problem.what == "1 task waits, and no worker answers"


def test_a_queue_that_nobody_takes_from() -> None:
    """Workers for other queues do not help; the queue is named."""
    (problem,) = problems(broker(), "", [queue(depth=9, workers=1), queue("mail", 2)], [worker()])
    assert problem.what == "2 tasks wait in the queue mail, which no worker takes from"
    assert "hotplate tasks purge mail" in problem.remedy


def test_complaints() -> None:
    """What a worker complains of is passed on."""
    (problem,) = problems(broker(), "", [], [worker("cannot write its results")])
    assert problem.what == "hotplate-1@here: cannot write its results"
