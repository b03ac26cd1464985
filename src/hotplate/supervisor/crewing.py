"""The crew beside the web workers: who is wanted, how many tasks run at once, and how another version takes over."""

from __future__ import annotations

import os

import msgspec
import psutil

from hotplate.errors import ExitCode, HotplateError
from hotplate.machine import Decision, effective_cores, memory_limit, private, pss, sizing
from hotplate.settings import Settings
from hotplate.supervisor import taskless
from hotplate.supervisor.crewevents import TasksDecided, TasksLeft
from hotplate.supervisor.events import Caution
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.generationlink import GenerationLink
from hotplate.supervisor.messages import Imported, Role, TasksFound
from hotplate.supervisor.slots import Slot
from hotplate.supervisor.workerlink import WorkerLink

_ONLY_SENDS = "the app has none of its own; --task-workers 1 would take what others are to run"
# What the app's tasks are taken for until a process has imported it.
UNKNOWN = TasksFound("", -1, schedule=False, broker="")


def wanted(settings: Settings, found: TasksFound | None) -> tuple[Role, ...]:
    """Return the roles to be filled, in the order in which they start.

    An app without tasks of its own only sends some: who took from its queue would take what others are to run.

    Args:
        settings: what was asked for.
        found: the app's tasks, if it has any.

    Example:
        >>> wanted(Settings(), TasksFound("shop", 3, schedule=True, broker="redis://cache"))
        ('tasks', 'beat')
    """
    if found is None:
        return ()
    may_run = settings.task_workers != 0
    runs = may_run and (found.tasks != 0 or settings.task_workers != "auto")
    beats = settings.beat == "on" or (settings.beat == "auto" and found.schedule and may_run)
    roles: tuple[tuple[Role, bool], ...] = (("tasks", runs), ("beat", beats))
    return tuple(role for role, is_wanted in roles if is_wanted)


def at_once(settings: Settings, found: TasksFound, each: int = 0, base: int = 0) -> Decision:
    """Return how many tasks to run at once.

    Args:
        settings: what was asked for.
        found: the app's tasks; its own setting counts where nobody asked for a number.
        each: private bytes that a process of this app takes, as a warm web worker shows; 0 if not known.
        base: bytes that are taken by everything else, the web workers included.
    """
    asked = settings.task_workers
    if asked == "auto" and found.concurrency:
        decision = sizing.tasks(effective_cores(), memory_limit(), each, base, found.concurrency)
        return decision._replace(why="worker_concurrency of the Celery app")
    return sizing.tasks(effective_cores(), memory_limit(), each, base, asked)


def taken_once(worker: WorkerLink) -> int:
    """Return the bytes that are taken once: by the master, the generation, and what workers share with that.

    Args:
        worker: a warm web worker.
    """
    try:
        # What the worker shares is counted in half with its generation, and in half here.
        return private(os.getpid()) + pss(worker.generation.process.pid) + max(0, pss(worker.pid) - worker.private)
    except psutil.Error:
        return 0


def decide(fleet: Fleet, found: TasksFound | None, each: int = 0, base: int = 0) -> None:
    """Settle how the app's tasks are run, and say so; nothing is started yet.

    Args:
        fleet: gets the decision.
        found: the app's tasks, if it has any.
        each: see `at_once`.
        base: the same.
    """
    if found is None:
        fleet.tasks = None
        return
    roles = wanted(fleet.settings, found)
    decision = at_once(fleet.settings, found, each, base) if "tasks" in roles else _none(fleet.settings)
    fleet.tasks = TasksDecided(
        celery=found.name,
        tasks=found.tasks,
        workers=decision.value,
        why=decision.why,
        broker=found.broker,
        origin=found.origin,
        beat="beat" in roles,
        queues=_queues(fleet.settings, found) if "tasks" in roles else (),
    )
    fleet.emit(fleet.tasks)
    if decision.warning:
        fleet.emit(Caution(text=decision.warning))
    for text in cautions(fleet.settings, found):
        fleet.emit(Caution(text=text))


def _none(settings: Settings) -> Decision:
    """Return why no tasks are run."""
    return Decision(0, "asked for" if settings.task_workers == 0 else _ONLY_SENDS)


def _queues(settings: Settings, found: TasksFound) -> tuple[str, ...]:
    """Return the queues to be told of: a default one alone goes without saying."""
    return settings.task_queues or (found.queues if len(found.queues) > 1 else ())


def cautions(settings: Settings, found: TasksFound | None) -> tuple[str, ...]:
    """Return what the user of an app's tasks should know, a sentence each.

    Args:
        settings: what was asked for.
        found: the app's tasks, if it has any.
    """
    if found is None or not found.routers or settings.task_queues or "tasks" not in wanted(settings, found):
        return found.cautions if found else ()
    known, routers = ",".join(found.queues), ", ".join(found.routers)
    text = (
        f"Into which queues {routers} (task_routes) sends is known only when it does; tasks are taken from"
        f" {', '.join(found.queues)}. If there are more, name all, such as: --task-queues {known},others"
    )
    return (*found.cautions, text)


def man(fleet: Fleet) -> None:
    """Open the crew's slots and have them filled; those that cannot be filled do not hold up the web workers."""
    for slot in berths(fleet, fleet.generation.tasks if fleet.generation else None):
        fleet.crew.append(slot)
        fleet.fill(slot)


def berths(fleet: Fleet, found: TasksFound | None) -> list[Slot]:
    """Return the slots that a version of the app needs: those that are there, and new ones."""
    there = {slot.role: slot for slot in fleet.crew}
    tasks = fleet.tasks.workers if fleet.tasks else 0
    return [there.get(role) or Slot(0, role, tasks) for role in wanted(fleet.settings, found)]


class Change:
    """The crew's move to another generation: its processes come first beside the old ones, then in their place.

    Args:
        fleet: whose crew.
        generation: that takes over.
    """

    def __init__(self, fleet: Fleet, generation: GenerationLink) -> None:
        self._fleet = fleet
        self._generation = generation
        self._reliefs: list[tuple[Slot, WorkerLink]] = []
        self._before = fleet.tasks
        self._told = cautions(fleet.settings, fleet.generation.tasks if fleet.generation else None)

    async def prepare(self, web: WorkerLink | None) -> None:
        """Start the new processes; they know new tasks before new web workers send them.

        Args:
            web: a warm web worker of the new version; None on a machine for tasks.

        Raises:
            HotplateError: as a worker's boot, or the new version has nothing to do on a machine for tasks.
        """
        fleet, generation = self._fleet, self._generation
        assumed = self._assumed()
        if web and generation.tasks and self._are_new(generation.tasks):
            decide(fleet, generation.tasks, web.private, taken_once(web) + len(fleet.slots) * web.private)
            self._told = cautions(fleet.settings, generation.tasks)
        ready: set[Role] = set()
        # Without preload it is the first process that tells whether there is a schedule.
        while slots := [slot for slot in berths(fleet, generation.tasks or assumed) if slot.role not in ready]:
            self._reliefs.append((slots[0], await fleet.boot(slots[0], generation)))
            ready.add(slots[0].role)

    def _are_new(self, found: TasksFound) -> bool:
        """Whether it is for the new version to decide how many tasks run at once: none did."""
        decided = self._fleet.tasks
        return decided is None or (not decided.workers and "tasks" in wanted(self._fleet.settings, found))

    def _assumed(self) -> TasksFound | None:
        """Return what the new version's tasks are taken for until a process has imported them; None for none."""
        outcome, tasks = self._generation.outcome.result(), self._generation.tasks
        if tasks and self._fleet.settings.only == "tasks" and not wanted(self._fleet.settings, tasks):
            raise taskless.idle(tasks.name)
        if tasks or self._fleet.settings.only != "tasks" or not isinstance(outcome, Imported):
            return None
        if outcome.preloaded:
            raise taskless.nothing(outcome.app)
        return UNKNOWN

    def check(self) -> None:
        """Refuse a version whose processes got ready and died at once.

        Raises:
            HotplateError: RELOAD_FAILED; one did.
        """
        for slot, relief in self._reliefs:
            if not relief.is_warm():
                raise HotplateError(
                    "keep the new version",
                    f"{slot.title} died as soon as it was ready",
                    "The lines above say how it ended.",
                    code=ExitCode.RELOAD_FAILED,
                )

    def abandon(self) -> None:
        """Send the new processes away; the old ones go on."""
        for _slot, relief in self._reliefs:
            relief.drain(0.0)
        self._reliefs.clear()
        self._fleet.tasks = self._before

    def complete(self) -> None:
        """Have the new processes take over, and the old ones finish what they have."""
        fleet = self._fleet
        for slot in [slot for slot in fleet.crew if slot not in [slot for slot, _relief in self._reliefs]]:
            fleet.crew.remove(slot)
            slot.stop_filling()
            fleet.emit(TasksLeft(role=slot.role))
            if worker := slot.vacate():
                worker.drain(fleet.settings.grace)
        for slot, relief in self._reliefs:
            if slot not in fleet.crew:
                fleet.crew.append(slot)
            slot.restarts += slot.seated
            fleet.seat(slot, relief)
        found = self._generation.tasks
        fleet.tasks = _as_found(fleet.tasks, found, fleet.settings)
        for text in cautions(fleet.settings, found):
            if text not in self._told:
                fleet.emit(Caution(text=text))


def _as_found(decided: TasksDecided | None, found: TasksFound | None, settings: Settings) -> TasksDecided | None:
    """Return what was decided, with what is true of another version; how many run at once stays as it is, if any do."""
    if decided is None or found is None:
        return None
    roles = wanted(settings, found)
    none = None if "tasks" in roles else _none(settings)
    return msgspec.structs.replace(
        decided,
        celery=found.name,
        tasks=found.tasks,
        workers=none.value if none else decided.workers,
        why=none.why if none else decided.why,
        broker=found.broker,
        origin=found.origin,
        beat="beat" in roles,
        queues=() if none else _queues(settings, found),
    )
