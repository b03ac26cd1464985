"""What `hotplate tasks` tells: typed records whose fields carry their help text, for people and programs alike."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hotplate.settings.records import helped


class BrokerReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tasks lie."""

    kind: Annotated[
        Literal["embedded", "redis", "amqp", "other"], helped("embedded (a file of this machine), redis, amqp or other")
    ]
    url: Annotated[str, helped("its address, without the password")]
    origin: Annotated[str, helped("what named it, such as CELERY_BROKER_URL")]
    answers: Annotated[bool, helped("whether it can be reached from here")]


class QueueReport(msgspec.Struct, frozen=True, kw_only=True):
    """One queue; null is what its broker does not tell."""

    name: Annotated[str, helped("name of the queue")]
    depth: Annotated[int | None, helped("tasks that wait for a worker")]
    delayed: Annotated[int | None, helped("tasks whose time (eta, countdown) has not come; null: not told apart")]
    taken: Annotated[int | None, helped("tasks that a worker has taken and not yet finished; null: not told")]
    oldest: Annotated[float | None, helped("seconds that the first one has been waiting; null: none is, or not told")]
    workers: Annotated[int, helped("workers that take from it")]


class RunningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that runs now."""

    id: Annotated[str, helped("its id")]
    task: Annotated[str, helped("its name")]
    seconds: Annotated[float | None, helped("how long it has been running; null: it has just been taken")]
    worker: Annotated[str, helped("where")]


class TaskWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that answered: a main process with the children that run tasks."""

    name: Annotated[str, helped("its name, with its machine after the @")]
    kind: Annotated[Literal["hotplate", "celery"], helped("hotplate, or celery for one that Celery's command started")]
    pid: Annotated[int | None, helped("process number of its main process; null: not told")]
    processes: Annotated[int | None, helped("tasks that it can run at a time; null: not told")]
    uptime: Annotated[float | None, helped("seconds since it started; null: not told")]
    queues: Annotated[tuple[str, ...], helped("queues that it takes from")]
    running: Annotated[int, helped("tasks that it runs now")]
    done: Annotated[int | None, helped("tasks done since it started; null: not told")]
    failed: Annotated[int | None, helped("tasks failed for good since it started; null: not told")]
    retried: Annotated[int | None, helped("times that a task asked to be tried again; null: not told")]
    parked: Annotated[int | None, helped("tasks that it parked; null: not told")]
    problem: Annotated[str, helped("what it complains of; empty if nothing")] = ""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How many in the last minute, all workers together; null where no worker tells."""

    done: Annotated[int | None, helped("done")] = None
    failed: Annotated[int | None, helped("failed for good")] = None
    retried: Annotated[int | None, helped("tried again")] = None


class ParkedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is not tried again unless somebody says so."""

    id: Annotated[str, helped("its id, for `hotplate tasks retry`")]
    task: Annotated[str, helped("its name")]
    reason: Annotated[
        str,
        helped(
            "failed (an exception, no retries left), poison (it killed its process every time), unknown (no worker has "
            "such a task) or unreadable (it is no task)"
        ),
    ]
    queue: Annotated[str, helped("queue it came from, and goes back to")]
    at: Annotated[float, helped("when it was parked, in seconds since 1970; 0: not known")]
    detail: Annotated[str, helped("more about the reason, such as the exception")] = ""


class ParkedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is parked."""

    total: Annotated[int, helped("tasks parked")]
    reasons: Annotated[dict[str, int], helped("how many for which reason")]
    newest: Annotated[tuple[ParkedTask, ...], helped("the ones parked last, newest first")]


class Problem(msgspec.Struct, frozen=True):
    """Something that somebody should do something about."""

    what: Annotated[str, helped("what is wrong")]
    remedy: Annotated[str, helped("what to type or change")]


class TasksReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the tasks of an app go."""

    healthy: Annotated[bool, helped("whether the broker answers, and whatever waits has a worker")]
    problems: Annotated[tuple[Problem, ...], helped("what is wrong, and what to do")]
    app: Annotated[str, helped("name of the Celery app; empty where it need not be known")]
    broker: Annotated[BrokerReport, helped("where the tasks lie")]
    queues: Annotated[tuple[QueueReport, ...], helped("one by one, by name")]
    workers: Annotated[tuple[TaskWorker, ...], helped("those that answered in time")]
    running: Annotated[tuple[RunningTask, ...], helped("what runs now, the longest first")]
    minute: Annotated[Rates, helped("what was done in the last minute")]
    parked: Annotated[ParkedReport, helped("tasks that are not tried again by themselves")]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What `hotplate tasks retry` has done."""

    retried: Annotated[tuple[ParkedTask, ...], helped("tasks that wait in their queue again, oldest first")]
    left: Annotated[int, helped("tasks that are still parked")]
    broker: Annotated[str, helped("address of the broker, without the password")]


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What `hotplate tasks purge` has done."""

    queue: Annotated[str, helped("the queue")]
    purged: Annotated[int, helped("tasks thrown away")]
    broker: Annotated[str, helped("address of the broker, without the password")]
