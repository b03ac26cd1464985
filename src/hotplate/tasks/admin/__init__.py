"""The operator's side of the tasks: how they go, trying parked ones again, throwing waiting ones away.

The same for the embedded broker, Redis and RabbitMQ; needs a Celery app that knows its broker, and none of its tasks.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from hotplate.errors import HotplateError
from hotplate.tasks.admin import parked, reaching, verdict, workers
from hotplate.tasks.admin.changing import Wanted, names, purge, retry, waiting
from hotplate.tasks.admin.looking import Depth, look
from hotplate.tasks.admin.report import BrokerReport, ParkedReport, QueueReport, Rates, TasksReport
from hotplate.tasks.admin.workers import Workers
from hotplate.tasks.brokers import Broker
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import PARKED

__all__ = ["PARKED", "Wanted", "purge", "retry", "status", "waiting"]

NEWEST = 5  # parked tasks that are shown
_NOBODY = Workers((), (), Rates())


def status(
    app: Value,
    broker: Broker,
    queues: Collection[str] = (),
    *,
    newest: int = NEWEST,
    patience: float = workers.PATIENCE,
) -> TasksReport:
    """Return how the tasks of an app go; a broker that does not answer is said, not raised.

    Args:
        app: Celery's; see `reaching.application`.
        broker: of that app, with what named it.
        queues: names that are known besides those that the broker and the workers tell.
        newest: how many of the parked tasks are wanted.
        patience: seconds to wait for the workers.
    """
    try:
        with reaching.connected(app, "look at the tasks") as connection:
            heard = workers.understand(workers.ask(app, patience), time.time())
            known = {*names(app), *queues, *(name for worker in heard.workers for name in worker.queues)}
            inside = look(connection, broker.kind)
            depths = inside.queues(known)
            laid_aside = parked.summary(inside.parked(), newest)
    except HotplateError as problem:
        return _report(app, broker, problem, [], _NOBODY, parked.summary([], 0))
    return _report(app, broker, None, depths, heard, laid_aside)


def _report(
    app: Value,
    broker: Broker,
    problem: HotplateError | None,
    depths: Collection[Depth],
    heard: Workers,
    laid_aside: ParkedReport,
) -> TasksReport:
    """Put it together; `problem` is why the broker does not answer, None when it does."""
    told = BrokerReport(kind=broker.kind, url=broker.shown, origin=broker.origin, answers=problem is None)
    queues = tuple(
        QueueReport(**depth._asdict(), workers=sum(depth.name in worker.queues for worker in heard.workers))
        for depth in sorted(depths)
    )
    cause, remedy = (problem.cause, problem.remedy) if problem else ("", "")
    problems = verdict.problems(told, cause, queues, heard.workers, remedy)
    return TasksReport(
        healthy=not problems,
        problems=problems,
        app=str(app.main or ""),
        broker=told,
        queues=queues,
        workers=heard.workers,
        running=heard.running,
        minute=heard.rates,
        parked=laid_aside,
    )
