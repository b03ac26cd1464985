"""Makes the status report out of what the fleet knows."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Literal

from hotplate.gateway.traffic import Traffic
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.messages import Imported
from hotplate.supervisor.rendezvous import Claim
from hotplate.supervisor.report import CrewReport, StatusReport, TasksState, Totals, WorkerReport
from hotplate.supervisor.workerlink import WorkerLink

_State = Literal["starting", "serving", "degraded", "reloading", "asleep", "stopping"]


class Reporter:
    """Reports on a fleet.

    Args:
        fleet: what is reported on.
        began: when the master started, by the monotonic clock.
        claim: on its name; says where.
    """

    def __init__(self, fleet: Fleet, began: float, claim: Claim) -> None:
        self._fleet = fleet
        self._began = began
        self._folder = str(claim.folder)
        self._cache = str(claim.cache)
        self.started = False
        self.stopping = False
        self.asleep = False

    def report(self) -> StatusReport:
        """Return how it goes now."""
        fleet, settings = self._fleet, self._fleet.settings
        generation = fleet.generation
        outcome = generation.outcome.result() if generation and generation.outcome.done() else None
        imported = outcome if isinstance(outcome, Imported) else None
        state = self._state()
        workers = sorted(
            (worker for worker in fleet.nursery.workers if worker.role == "web"),
            key=lambda worker: (worker.slot, worker.serial),
        )
        restarts = {slot.index: slot.restarts for slot in fleet.slots}
        return StatusReport(
            state=state,
            healthy=state == "asleep" or (state in {"serving", "reloading"} and self._all_warm()),
            name=settings.name,
            folder=self._folder,
            target=settings.target,
            app=imported.app if imported else "",
            pid=os.getpid(),
            uptime=time.monotonic() - self._began,
            binds=fleet.sockets.addresses,
            generation=generation.number if generation else 0,
            generation_pid=generation.process.pid if generation and not generation.gone else 0,
            preloaded=bool(imported and imported.preloaded),
            slots=len(fleet.slots),
            workers_why=fleet.why,
            steering=self._steering(),
            cache=self._cache,
            totals=_totals([worker.traffic for worker in workers], workers, sum(restarts.values())),
            workers=tuple(_worker(worker, restarts.get(worker.slot, 0)) for worker in workers),
            tasks=self._tasks(),
        )

    def _tasks(self) -> TasksState | None:
        decided = self._fleet.tasks
        if decided is None:
            return None
        restarts = {slot.role: slot.restarts for slot in self._fleet.crew}
        crew = sorted(
            (worker for worker in self._fleet.nursery.workers if worker.role != "web"),
            key=lambda worker: (worker.role != "tasks", worker.serial),
        )
        return TasksState(
            celery=decided.celery,
            known=decided.tasks,
            workers=decided.workers,
            workers_why=decided.why,
            broker=decided.broker,
            beat=decided.beat,
            crew=tuple(_crew(worker, restarts.get(worker.role, 0)) for worker in crew),
        )

    def _state(self) -> _State:
        if self.stopping:
            return "stopping"
        if self.asleep:
            return "asleep"
        if not self.started or any(slot.is_starting() for slot in self._fleet.crew):
            return "starting"
        if self._fleet.reloading:
            return "reloading"
        return "serving" if self._all_warm() else "degraded"

    def _all_warm(self) -> bool:
        return bool(self._fleet.every) and all(slot.is_warm() for slot in self._fleet.every)

    def _steering(self) -> str:
        sockets = self._fleet.sockets
        if sockets.spread:
            return "BPF: even, and evened out while connections lie unevenly"
        return f"by the kernel ({sockets.unsteerable or 'one listener is shared'})"


def _worker(worker: WorkerLink, restarts: int) -> WorkerReport:
    return WorkerReport(
        slot=worker.slot,
        pid=worker.pid,
        state=worker.state.value,
        generation=worker.generation.number,
        age=asyncio.get_running_loop().time() - worker.born,
        private=worker.private,
        restarts=restarts,
        release=worker.release,
        traffic=worker.traffic,
    )


def _crew(worker: WorkerLink, restarts: int) -> CrewReport:
    return CrewReport(
        role=worker.role,
        pid=worker.pid,
        state=worker.state.value,
        generation=worker.generation.number,
        age=asyncio.get_running_loop().time() - worker.born,
        private=worker.private,
        restarts=restarts,
        tally=worker.tally,
    )


def _totals(traffic: list[Traffic], workers: list[WorkerLink], restarts: int) -> Totals:
    return Totals(
        requests=sum(each.requests for each in traffic),
        in_flight=sum(each.in_flight for each in traffic),
        errors=sum(each.errors for each in traffic),
        timeouts=sum(each.timeouts for each in traffic),
        refused=sum(each.refused for each in traffic),
        queued=sum(each.queued for each in traffic),
        connections=sum(each.active_connections for each in traffic),
        private=sum(worker.private for worker in workers),
        restarts=restarts,
    )
