"""What became of the tasks that a process took, on its way to the master and into the status report.

The same as `hotplate.tasks.worker.counting.Counts`, which belongs to Celery's side: the master knows nothing of Celery.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hotplate.settings.records import helped


class RunningTask(msgspec.Struct, frozen=True):
    """A task that runs now."""

    id: Annotated[str, helped("id of the task")]
    name: Annotated[str, helped("name of the task")]
    seconds: Annotated[float, helped("how long it has run")]
    process: Annotated[int, helped("process number of who runs it")] = 0


class Rates(msgspec.Struct, frozen=True):
    """How many in the last minute."""

    received: Annotated[int, helped("taken from the broker")] = 0
    succeeded: Annotated[int, helped("done")] = 0
    failed: Annotated[int, helped("failed for good")] = 0
    retried: Annotated[int, helped("to be tried again")] = 0


class Tally(msgspec.Struct, frozen=True):
    """What a process that runs tasks has done since it began, and what it is doing."""

    received: Annotated[int, helped("tasks taken from the broker")] = 0
    succeeded: Annotated[int, helped("tasks done")] = 0
    failed: Annotated[int, helped("tasks that failed for good")] = 0
    retried: Annotated[int, helped("times a task asked to be tried again")] = 0
    parked: Annotated[int, helped("tasks laid aside for a person to look at")] = 0
    running: Annotated[tuple[RunningTask, ...], helped("tasks that run now")] = ()
    rates: Annotated[Rates, helped("the same of the last minute")] = Rates()
    broker: Annotated[Literal["connected", "waiting"], helped("whether the broker answers")] = "waiting"
    problem: Annotated[str, helped("why it does not")] = ""
    processes: Annotated[tuple[int, ...], helped("process numbers of those that run tasks")] = ()
    lost: Annotated[int, helped("processes that died while they ran a task")] = 0
    recycled: Annotated[int, helped("processes replaced because of their memory (task_memory)")] = 0
