"""The start: import, the first worker, what it says about the number of workers, then the others."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import psutil

from hotplate.machine import Decision, effective_cores, memory_limit, private, pss, sizing
from hotplate.supervisor.events import Caution, WorkersDecided
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.generationlink import GenerationLink
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
    first = fleet.open_slot()
    fleet.send_to({first.index: 1})  # before others listen, so that nobody waits for them
    worker = await fleet.boot(first, generation)
    fleet.sockets.listen()
    fleet.seat(first, worker)
    decision = decide(fleet.settings.workers, worker)
    fleet.why = decision.why
    fleet.emit(WorkersDecided(workers=decision.value, why=decision.why))
    if decision.warning:
        fleet.emit(Caution(text=decision.warning))
    others = [fleet.open_slot() for _ in range(decision.value - 1)]
    try:
        async with asyncio.TaskGroup() as group:
            for slot in others:
                group.create_task(_occupy(fleet, slot, generation))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _occupy(fleet: Fleet, slot: Slot, generation: GenerationLink) -> None:
    fleet.seat(slot, await fleet.boot(slot, generation))


def decide(asked: int, worker: WorkerLink) -> Decision:
    """Return how many workers to run, from what the first one takes.

    Args:
        asked: the number the user wants; 0 for none.
        worker: the first one, warm.

    Raises:
        HotplateError: NO_MEMORY; not even one fits.
    """
    base = 0
    with suppress(psutil.Error):
        # What the worker shares is counted in half with its generation, and in half here.
        base = private(os.getpid()) + pss(worker.generation.process.pid) + max(0, pss(worker.pid) - worker.private)
    return sizing.workers(effective_cores(), memory_limit(), worker.private, base, asked)
