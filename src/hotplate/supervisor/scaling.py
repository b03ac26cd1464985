"""One worker more, or one less."""

from __future__ import annotations

import asyncio

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor.events import Scaled
from hotplate.supervisor.fleet import Fleet

MOST = 1024  # as the setting `workers`
# A client that was answered before the steering changed needs a round trip more to arrive in the listener's queue.
_HANDSHAKE = 0.3  # seconds; a round trip around the world


async def scale(fleet: Fleet, by: int) -> int:
    """Add or remove workers, one by one; returns how many there are now.

    Raises:
        HotplateError: USAGE beyond 1 and `MOST`, or where there are none on purpose; otherwise as a worker's boot.
    """
    if fleet.settings.only == "tasks":
        raise HotplateError(
            "add or remove web workers",
            "this instance only runs tasks",
            "How many at once is decided when it starts: --task-workers N.",
            code=ExitCode.USAGE,
        )
    async with fleet.changing:
        wanted = len(fleet.slots) + by
        if not 1 <= wanted <= MOST:
            raise HotplateError(
                f"run {wanted} workers",
                "there is at least one" if wanted < 1 else f"there are at most {MOST}",
                "`hotplate stop` ends the instance." if wanted < 1 else "Start another instance on another machine.",
                code=ExitCode.USAGE,
            )
        while len(fleet.slots) != wanted:
            await (_grow(fleet) if len(fleet.slots) < wanted else _shrink(fleet))
            fleet.why = "by order"
            fleet.emit(Scaled(workers=len(fleet.slots)))
        return wanted


async def _grow(fleet: Fleet) -> None:
    slot = fleet.open_slot()
    try:
        fleet.seat(slot, await fleet.boot(slot, await fleet.usable_generation()))
    except BaseException:
        if not slot.current:
            fleet.close_slot()
            fleet.close_unused()
        raise


async def _shrink(fleet: Fleet) -> None:
    slot = fleet.close_slot()
    try:
        await asyncio.sleep(_HANDSHAKE)
    finally:
        if worker := slot.vacate():
            worker.drain(fleet.settings.grace)
        fleet.close_unused()
