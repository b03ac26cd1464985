"""The start: import, the first worker, what it says about the number of workers, then the others.

The crew is decided on here, and started when the web workers serve; on a machine for tasks it is all there is.
"""

from __future__ import annotations

import asyncio

from hotplate.machine import Decision, effective_cores, memory_limit, sizing
from hotplate.settings import Settings
from hotplate.supervisor import crewing, taskless
from hotplate.supervisor.events import Caution, WorkersDecided
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.generationlink import GenerationLink
from hotplate.supervisor.messages import Imported, Role
from hotplate.supervisor.slots import Slot
from hotplate.supervisor.workerlink import WorkerLink


async def launch(fleet: Fleet) -> None:
    """Bring the fleet up; returns when every worker is warm.

    Raises:
        HotplateError: the app, a worker or memory does not allow it; what was started is still to be stopped.
    """
    generation = await fleet.nursery.generation(fleet.generation_lost)
    fleet.paused = False
    fleet.adopt(generation)
    if fleet.settings.only == "tasks":
        await _launch_crew(fleet, generation)
    else:
        await _launch_web(fleet, generation)


async def _launch_web(fleet: Fleet, generation: GenerationLink) -> None:
    first = fleet.open_slot()
    fleet.send_to({first.index: 1})  # before others listen, so that nobody waits for them
    worker = await fleet.boot(first, generation)
    fleet.sockets.listen()
    fleet.seat(first, worker)
    base = crewing.taken_once(worker)
    has_tasks = "tasks" in crewing.wanted(fleet.settings, generation.tasks)
    decision = decide(fleet.settings, worker, base, has_tasks=has_tasks)
    fleet.why = decision.why
    fleet.emit(WorkersDecided(workers=decision.value, why=decision.why))
    if decision.warning:
        fleet.emit(Caution(text=decision.warning))
    crewing.decide(fleet, generation.tasks, worker.private, base + decision.value * worker.private)
    others = [fleet.open_slot() for _ in range(decision.value - 1)]
    try:
        async with asyncio.TaskGroup() as group:
            for slot in others:
                group.create_task(_occupy(fleet, slot, generation))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _occupy(fleet: Fleet, slot: Slot, generation: GenerationLink) -> None:
    fleet.seat(slot, await fleet.boot(slot, generation))


async def _launch_crew(fleet: Fleet, generation: GenerationLink) -> None:
    """Start what runs tasks, and nothing else.

    Raises:
        HotplateError: the app has none, or their process does not start.
    """
    link = generation.outcome.result()
    unknown = isinstance(link, Imported) and not link.preloaded  # until its first process has imported the app
    if generation.tasks is None and not unknown:
        raise taskless.nothing(link.app if isinstance(link, Imported) else fleet.settings.target)
    found = generation.tasks or crewing.UNKNOWN
    if not crewing.wanted(fleet.settings, found):
        raise taskless.idle(found.name)
    if not unknown:
        crewing.decide(fleet, found)
    tasks = crewing.at_once(fleet.settings, found).value
    # Without preload it is the first process that tells whether there is a schedule.
    manned: set[Role] = set()
    while roles := [role for role in crewing.wanted(fleet.settings, generation.tasks or found) if role not in manned]:
        await _man(fleet, Slot(0, roles[0], tasks if roles[0] == "tasks" else 0), generation)
        if unknown and not manned:
            crewing.decide(fleet, generation.tasks)
        manned.add(roles[0])


async def _man(fleet: Fleet, slot: Slot, generation: GenerationLink) -> None:
    fleet.crew.append(slot)
    await _occupy(fleet, slot, generation)


def decide(settings: Settings, worker: WorkerLink, base: int, *, has_tasks: bool = False) -> Decision:
    """Return how many workers to run, from what the first one takes.

    Args:
        settings: how many the user wants.
        worker: the first one, warm.
        base: bytes taken once, whatever the number of workers.
        has_tasks: whether to leave room for a process that takes tasks and one that runs them, where there is any.

    Raises:
        HotplateError: NO_MEMORY; not even one fits.
    """
    cores, memory, each = effective_cores(), memory_limit(), worker.private
    beside = base + 2 * each if has_tasks and settings.task_workers != 0 else base
    room = sizing.fit(memory, each, beside)
    return sizing.workers(cores, memory, each, beside if room is None or room else base, settings.workers)
