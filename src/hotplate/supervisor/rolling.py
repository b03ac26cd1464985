"""Reload: another code version beside the old one, then slot by slot, and back again if it does not come up.

What runs tasks of the new version is there first, so that it knows what new web workers send; that of the old version
leaves last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor.crewing import Change
from hotplate.supervisor.events import BootRefused, Reloaded, ReloadFailed, Reloading
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.generationlink import GenerationLink
from hotplate.supervisor.messages import Failure
from hotplate.supervisor.systemd import Notifier
from hotplate.supervisor.workerlink import WorkerLink

_TO_PARK = 0.5  # seconds; it takes milliseconds


class Reloader:
    """Reloads the fleet, one reload at a time.

    Args:
        fleet: what is reloaded.
        notifier: systemd hears of the beginning and the end.
    """

    def __init__(self, fleet: Fleet, notifier: Notifier) -> None:
        self._fleet = fleet
        self._notifier = notifier
        self._running: asyncio.Task[Reloaded] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a reload is under way."""
        return self._running is not None and not self._running.done()

    async def reload(self) -> Reloaded:
        """Return when the new version serves in every slot; whoever asks meanwhile waits for the same reload.

        Raises:
            HotplateError: RELOAD_FAILED with the reason; the old version serves.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._reload())
        return await asyncio.shield(self._running)

    def cancel(self) -> None:
        """Give up a reload that is under way."""
        if self._running:
            self._running.cancel()

    async def _reload(self) -> Reloaded:
        fleet = self._fleet
        async with fleet.changing:
            began = asyncio.get_running_loop().time()
            self._notifier.reloading()
            fleet.emit(Reloading(generation=fleet.nursery.next_number))
            fleet.reloading = True
            try:
                generation = await roll(fleet)
            except HotplateError as error:
                failed = _failed(error)
                fleet.emit(ReloadFailed(failure=Failure.of(failed)))
                raise failed from None
            finally:
                fleet.reloading = False
                self._notifier.ready(fleet.size)
                if fleet.generation and fleet.generation.gone:
                    fleet.generation_lost(fleet.generation)
            took = asyncio.get_running_loop().time() - began
            reloaded = Reloaded(generation=generation.number, workers=len(fleet.slots), seconds=took)
            fleet.emit(reloaded)
            return reloaded


async def roll(fleet: Fleet) -> GenerationLink:
    """Move every slot to a new generation and return that.

    Raises:
        HotplateError: as the import's or a worker's; every slot is back with the old generation.
    """
    generation = await fleet.nursery.generation(fleet.generation_lost)
    before = [slot.current for slot in fleet.slots]
    crew = Change(fleet, generation)
    try:
        await _move(fleet, generation, crew)
    except HotplateError:
        crew.abandon()
        await _go_back(fleet, generation)
        raise
    except asyncio.CancelledError:
        crew.abandon()
        generation.retire()
        raise
    fleet.adopt(generation)
    crew.complete()
    await _parked(before)
    return generation


async def _move(fleet: Fleet, generation: GenerationLink, crew: Change) -> None:
    slots = list(fleet.slots)
    # Without preload it is the first worker that tells what tasks the new version has.
    first = await fleet.boot(slots[0], generation) if slots else None
    try:
        await crew.prepare(first)
    except BaseException:
        if first:
            first.kill()
        raise
    for slot in slots:
        fleet.seat(slot, first or await fleet.boot(slot, generation))
        first = None
        _check_survivors(fleet, generation, slot.index)
    crew.check()


async def _parked(workers: Iterable[WorkerLink | None]) -> None:
    """Return when new connections meet none of these any more, which is what the end of a reload is to mean."""
    if parking := [worker.parked for worker in workers if worker]:
        await asyncio.wait(parking, timeout=_TO_PARK)


def _check_survivors(fleet: Fleet, generation: GenerationLink, moved: int) -> None:
    """Refuse a version whose workers got ready and died while the others were still to come."""
    for slot in fleet.slots[: moved + 1]:
        if not (slot.current and slot.current.is_warm() and slot.current.generation is generation):
            raise HotplateError(
                "keep the new version",
                f"its worker {slot.index} died as soon as it served",
                "The lines above say how it ended.",
                code=ExitCode.RELOAD_FAILED,
            )


async def _go_back(fleet: Fleet, generation: GenerationLink) -> None:
    """Give slots that were moved to `generation` back to the old one, as long as that lives."""
    moved = [slot.current for slot in fleet.slots if slot.current and slot.current.generation is generation]
    for slot in list(fleet.slots):
        if slot.current and slot.current.generation is generation and fleet.generation and fleet.generation.usable:
            try:
                fleet.seat(slot, await fleet.boot(slot, fleet.generation))
            except HotplateError as error:  # what serves there is better than nothing
                fleet.emit(BootRefused(slot=slot.index, failure=Failure.of(error)))
    generation.retire()
    await _parked(worker for worker in moved if not worker.is_warm())


def _failed(error: HotplateError) -> HotplateError:
    return HotplateError(
        "reload",
        f"the new version cannot {error.attempted}: {error.cause}",
        f"{error.remedy} The old version is still serving.",
        code=ExitCode.RELOAD_FAILED,
        detail=error.detail,
    )
