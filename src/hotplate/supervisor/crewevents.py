"""What happens in the life of the processes that run tasks and send what is scheduled; see `events`."""

from __future__ import annotations

from hotplate.supervisor.events import Event
from hotplate.supervisor.words import first, took, who


class TasksDecided(Event, frozen=True):
    """The app has tasks: how many run at once, by which broker, and whether this instance sends what is scheduled.

    `queues` are those from which tasks are taken, where that is not only the default one.
    """

    celery: str
    tasks: int
    workers: int
    why: str
    broker: str
    origin: str
    beat: bool
    queues: tuple[str, ...] = ()

    def __str__(self) -> str:
        known = f"{self.tasks} {'task' if self.tasks == 1 else 'tasks'} of {self.celery}"
        at_once = f"{self.workers} at once ({self.why})" if self.workers else f"none are run here ({self.why})"
        origin = f" ({self.origin})" if self.origin else ""
        queues = f", from {', '.join(self.queues)}" if self.queues else ""
        beat = "; with a schedule" if self.beat else ""
        return f"Tasks: {known}, {at_once}{queues}; broker {self.broker}{origin}{beat}"


class TasksServing(Event, frozen=True):
    """Tasks are run, and nothing else is: `hotplate tasks run`."""

    workers: int
    beat: bool
    seconds: float

    def __str__(self) -> str:
        what = f"Running tasks, {self.workers} at once" if self.workers else "Sending what is scheduled"
        beat = ", and sending what is scheduled" if self.beat and self.workers else ""
        return f"{what}{beat}, after {took(self.seconds)}"


class TasksLeft(Event, frozen=True):
    """The new version has no tasks, or no schedule any more."""

    role: str

    def __str__(self) -> str:
        what = "tasks: the tasks process" if self.role == "tasks" else "schedule: the beat process"
        return f"The new version has no {what} finishes what it has and ends"


class BrokerAway(Event, frozen=True):
    """The broker cannot be reached; the process that runs tasks tries again and again."""

    level = "warning"
    pid: int
    problem: str

    def __str__(self) -> str:
        return (
            f"{first(who('tasks', 0))} (pid {self.pid}) waits for its broker ({self.problem});"
            " it goes on by itself when that answers"
        )


class BrokerBack(Event, frozen=True):
    """The broker answers again."""

    pid: int

    def __str__(self) -> str:
        return f"The broker answers: the tasks process (pid {self.pid}) goes on"
