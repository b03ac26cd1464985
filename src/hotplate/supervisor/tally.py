"""What became of the tasks that a process took, on its way to the master and into the status report.

The same as `hotplate.tasks.worker.counting.Counts`, which belongs to Celery's side: the master knows nothing of Celery.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class RunningTask(msgspec.Struct, frozen=True):
    """A task that runs now."""

    id: Annotated[str, _help("id of the task")]
    name: Annotated[str, _help("name of the task")]
    seconds: Annotated[float, _help("how long it has run")]
    process: Annotated[int, _help("process number of who runs it")] = 0


class Rates(msgspec.Struct, frozen=True):
    """How many in the last minute."""

    received: Annotated[int, _help("taken from the broker")] = 0
    succeeded: Annotated[int, _help("done")] = 0
    failed: Annotated[int, _help("failed for good")] = 0
    retried: Annotated[int, _help("to be tried again")] = 0


class Tally(msgspec.Struct, frozen=True):
    """What a process that runs tasks has done since it began, and what it is doing."""

    received: Annotated[int, _help("tasks taken from the broker")] = 0
    succeeded: Annotated[int, _help("tasks done")] = 0
    failed: Annotated[int, _help("tasks that failed for good")] = 0
    retried: Annotated[int, _help("times a task asked to be tried again")] = 0
    parked: Annotated[int, _help("tasks laid aside for a person to look at")] = 0
    running: Annotated[tuple[RunningTask, ...], _help("tasks that run now")] = ()
    rates: Annotated[Rates, _help("the same of the last minute")] = Rates()
    broker: Annotated[Literal["connected", "waiting"], _help("whether the broker answers")] = "waiting"
    problem: Annotated[str, _help("why it does not")] = ""
    processes: Annotated[tuple[int, ...], _help("process numbers of those that run tasks")] = ()
    lost: Annotated[int, _help("processes that died while they ran a task")] = 0
    recycled: Annotated[int, _help("processes replaced because of their memory (task_memory)")] = 0
