"""What `hotplate tasks` tells: typed records whose fields carry their help text, for people and programs alike."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class BrokerReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tasks lie."""

    kind: Annotated[
        Literal["embedded", "redis", "amqp", "other"], _help("embedded (a file of this machine), redis, amqp or other")
    ]
    url: Annotated[str, _help("its address, without the password")]
    origin: Annotated[str, _help("what named it, such as CELERY_BROKER_URL")]
    answers: Annotated[bool, _help("whether it can be reached from here")]


class QueueReport(msgspec.Struct, frozen=True, kw_only=True):
    """One queue; null is what its broker does not tell."""

    name: Annotated[str, _help("name of the queue")]
    depth: Annotated[int | None, _help("tasks that wait for a worker")]
    delayed: Annotated[int | None, _help("tasks whose time (eta, countdown) has not come; null: not told apart")]
    taken: Annotated[int | None, _help("tasks that a worker has taken and not yet finished; null: not told")]
    oldest: Annotated[float | None, _help("seconds that the first one has been waiting; null: none waits, or not told")]
    workers: Annotated[int, _help("workers that take from it")]


class RunningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that runs now."""

    id: Annotated[str, _help("its id")]
    task: Annotated[str, _help("its name")]
    seconds: Annotated[float | None, _help("how long it has been running; null: it has just been taken")]
    worker: Annotated[str, _help("where")]


class TaskWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that answered: a main process with the children that run tasks."""

    name: Annotated[str, _help("its name, with its machine after the @")]
    kind: Annotated[Literal["hotplate", "celery"], _help("hotplate, or celery for one that Celery's command started")]
    pid: Annotated[int | None, _help("process number of its main process; null: not told")]
    processes: Annotated[int | None, _help("tasks that it can run at a time; null: not told")]
    uptime: Annotated[float | None, _help("seconds since it started; null: not told")]
    queues: Annotated[tuple[str, ...], _help("queues that it takes from")]
    running: Annotated[int, _help("tasks that it runs now")]
    done: Annotated[int | None, _help("tasks done since it started; null: not told")]
    failed: Annotated[int | None, _help("tasks failed for good since it started; null: not told")]
    retried: Annotated[int | None, _help("times that a task asked to be tried again; null: not told")]
    parked: Annotated[int | None, _help("tasks that it parked; null: not told")]
    problem: Annotated[str, _help("what it complains of; empty if nothing")] = ""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How many in the last minute, all workers together; null where no worker tells."""

    done: Annotated[int | None, _help("done")] = None
    failed: Annotated[int | None, _help("failed for good")] = None
    retried: Annotated[int | None, _help("tried again")] = None


class ParkedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is not tried again unless somebody says so."""

    id: Annotated[str, _help("its id, for `hotplate tasks retry`")]
    task: Annotated[str, _help("its name")]
    reason: Annotated[
        str,
        _help(
            "failed (an exception, no retries left), poison (it killed its process every time), unknown (no worker has "
            "such a task) or unreadable (it is no task)"
        ),
    ]
    queue: Annotated[str, _help("queue it came from, and goes back to")]
    at: Annotated[float, _help("when it was parked, in seconds since 1970; 0: not known")]
    detail: Annotated[str, _help("more about the reason, such as the exception")] = ""


class ParkedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is parked."""

    total: Annotated[int, _help("tasks parked")]
    reasons: Annotated[dict[str, int], _help("how many for which reason")]
    newest: Annotated[tuple[ParkedTask, ...], _help("the ones parked last, newest first")]


class Problem(msgspec.Struct, frozen=True):
    """Something that somebody should do something about."""

    what: Annotated[str, _help("what is wrong")]
    remedy: Annotated[str, _help("what to type or change")]


class TasksReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the tasks of an app go."""

    healthy: Annotated[bool, _help("whether the broker answers, and whatever waits has a worker")]
    problems: Annotated[tuple[Problem, ...], _help("what is wrong, and what to do")]
    app: Annotated[str, _help("name of the Celery app; empty where it need not be known")]
    broker: Annotated[BrokerReport, _help("where the tasks lie")]
    queues: Annotated[tuple[QueueReport, ...], _help("one by one, by name")]
    workers: Annotated[tuple[TaskWorker, ...], _help("those that answered in time")]
    running: Annotated[tuple[RunningTask, ...], _help("what runs now, the longest first")]
    minute: Annotated[Rates, _help("what was done in the last minute")]
    parked: Annotated[ParkedReport, _help("tasks that are not tried again by themselves")]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What `hotplate tasks retry` has done."""

    retried: Annotated[tuple[ParkedTask, ...], _help("tasks that wait in their queue again, oldest first")]
    left: Annotated[int, _help("tasks that are still parked")]
    broker: Annotated[str, _help("address of the broker, without the password")]


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What `hotplate tasks purge` has done."""

    queue: Annotated[str, _help("the queue")]
    purged: Annotated[int, _help("tasks thrown away")]
    broker: Annotated[str, _help("address of the broker, without the password")]
