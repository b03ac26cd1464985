"""What is looked at every quarter of a second: who has gone silent, how connections lie, whether anybody asks."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine

from hotplate.supervisor.events import WorkerStuck
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.levelling import COME_BACK, Leveller, Load
from hotplate.supervisor.messages import Shed
from hotplate.supervisor.systemd import Notifier
from hotplate.supervisor.workerlink import WorkerLink

_log = logging.getLogger("hotplate.master")

INTERVAL = 0.25  # seconds; workers beat as often
_WAS_AWAY = 2.0  # seconds between two looks after which the master itself was stopped, or the machine asleep
_LEAST_PATIENCE = 2.0  # seconds; a worker on a busy machine may be late by that much and still be well
# A process that runs tasks speaks once a second, from a thread that has nothing else to do and waits for no broker.
_PATIENCE_WITH_CREW = 60.0  # seconds
_TO_DUMP = 0.5  # seconds a stuck worker gets to write its stacks


class Pulse:
    """Looks after the fleet at intervals.

    Args:
        fleet: what is looked after.
        notifier: its watchdog is fed while somebody serves.
        on_idle: called with the seconds since the last request when those pass `idle_timeout`.
    """

    def __init__(
        self, fleet: Fleet, notifier: Notifier, on_idle: Callable[[float], Coroutine[None, None, None]]
    ) -> None:
        self._fleet = fleet
        self._notifier = notifier
        self._on_idle = on_idle
        self._leveller = Leveller()
        self._fed = 0.0

    async def beat(self) -> None:
        """Look again and again; never returns."""
        clock = asyncio.get_running_loop().time
        last = clock()
        while True:
            await asyncio.sleep(INTERVAL)
            now = clock()
            if now - last > _WAS_AWAY:
                for worker in self._fleet.nursery.workers:
                    worker.last_heard = now
            last = now
            try:
                self.look(now)
                await self._rest_if_idle()
            except Exception:  # noqa: BLE001  a bug here must not end the serving
                _log.exception("A bug in the master; it goes on")

    def look(self, now: float) -> None:
        """Look once.

        Args:
            now: the loop's time.
        """
        warm = [slot.current for slot in self._fleet.slots if slot.current and slot.current.is_warm()]
        crew = [slot.current for slot in self._fleet.crew if slot.current and slot.current.is_warm()]
        for worker in warm:
            self._look_at(worker, now, _LEAST_PATIENCE)
        for worker in crew:
            self._look_at(worker, now, _PATIENCE_WITH_CREW)
        self._level([slot.current for slot in self._fleet.slots if slot.current in warm and not slot.hung])
        self._fleet.steer()
        interval = self._notifier.watchdog_interval
        # Asleep or starting is as it should be; without a warm worker after that, systemd is to step in.
        well = warm or self._fleet.paused or (crew and (self._fleet.dozing or not self._fleet.slots))
        if interval and now - self._fed >= interval - INTERVAL and well:
            self._fed = now
            self._notifier.alive()

    def _look_at(self, worker: WorkerLink, now: float, least: float) -> None:
        timeout = self._fleet.settings.timeout
        silent = now - worker.last_heard
        if not timeout or silent <= max(timeout, least):
            return
        if not worker.dumped_at:
            worker.dumped_at = now
            worker.kill(signal.SIGUSR2)  # it writes its stacks to the log without any help of its event loop
        elif now - worker.dumped_at >= _TO_DUMP:
            self._fleet.emit(WorkerStuck(slot=worker.slot, pid=worker.pid, silent=silent, role=worker.role))
            worker.condemned = True
            worker.kill()

    def _level(self, warm: list[WorkerLink]) -> None:
        if len(warm) < 2 or not self._fleet.sockets.spread:
            self._fleet.weights = {}
            return
        loads = [Load(worker.slot, worker.traffic.active_connections, worker.answered) for worker in warm]
        plan = self._leveller.plan(loads)
        self._fleet.weights = plan.weights
        if plan.shed:
            asyncio.get_running_loop().call_later(COME_BACK, self._spread_evenly)
        for worker in warm:
            if worker.slot in plan.shed:
                worker.tell(Shed(plan.shed[worker.slot]))

    def _spread_evenly(self) -> None:
        self._fleet.weights = {}
        self._fleet.steer()

    async def _rest_if_idle(self) -> None:
        after = self._fleet.settings.idle_timeout
        slots = self._fleet.slots
        if not after or self._fleet.paused or self._fleet.changing.locked() or not slots:
            return
        traffic = [slot.current.traffic for slot in slots if slot.current and slot.current.is_warm()]
        if len(traffic) == len(slots) and all(not each.in_flight and each.idle >= after for each in traffic):
            await self._on_idle(min(each.idle for each in traffic))
