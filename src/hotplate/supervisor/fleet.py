"""The fleet: slots, the generation that fills them, and what happens when a process is lost.

Web slots have listeners; beside them are the crew's, which run tasks and send what is scheduled, and have none.

The rules: a slot without a worker is filled at once, from the generation in force; a worker that is to go leaves only
when another serves its slot; what comes late to a slot that is served meanwhile is sent away.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine

from hotplate.errors import HotplateError
from hotplate.settings import Settings
from hotplate.supervisor.backoff import Backoff
from hotplate.supervisor.crewevents import BrokerAway, BrokerBack, TasksDecided
from hotplate.supervisor.events import (
    BootRefused,
    Caution,
    CrashLoop,
    GenerationDied,
    GenerationRefused,
    RequestHung,
    WorkerDied,
    WorkerMisbehaved,
    WorkerOutgrown,
    WorkerOverran,
)
from hotplate.supervisor.generationlink import GenerationLink
from hotplate.supervisor.messages import Beat, Drained, Failure, FromWorker, Hung, Outgrown, Shed
from hotplate.supervisor.nursery import Emit, Nursery
from hotplate.supervisor.process import oom_kills
from hotplate.supervisor.slots import Slot
from hotplate.supervisor.sockets import Sockets
from hotplate.supervisor.workerlink import OVERTIME, WorkerLink

_log = logging.getLogger("hotplate.master")
_TO_TELL = 0.1  # seconds a generation gets to tell a worker's exit status; it takes milliseconds
_LEAST_WAIT = 0.1  # seconds between two attempts that failed
_GOODBYE = 2.0  # seconds for a generation without workers to end, and for the kernel to end what was killed
_AFTER_GRACE = OVERTIME + 1.0  # seconds; by then the links have killed what did not end


class Fleet:
    """All processes of an instance.

    Args:
        settings: how they serve and how long they may take.
        sockets: listeners of the slots.
        nursery: starts processes.
        emit: told of what happens.
    """

    def __init__(self, settings: Settings, sockets: Sockets, nursery: Nursery, emit: Emit) -> None:
        self.settings = settings
        self.sockets = sockets
        self.nursery = nursery
        self.emit = emit
        self.slots: list[Slot] = []
        self.crew: list[Slot] = []
        self.tasks: TasksDecided | None = None  # how the app's tasks are run; None if it has none
        self.leaving: dict[int, Slot] = {}  # removed slots whose workers have not ended yet
        self.generation: GenerationLink | None = None
        self.why = ""  # so many slots
        self.paused = True  # not started, asleep or stopping: nobody is replaced
        self.dozing = False  # the web workers sleep, and the crew does not
        self.reloading = False
        self.changing = asyncio.Lock()  # held by what changes every slot or their number
        self.weights: dict[int, int] = {}
        self._killed = 0
        self._oom_kills = oom_kills()
        self._usable = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def every(self) -> list[Slot]:
        """All slots, those of the crew too."""
        return [*self.slots, *self.crew]

    @property
    def size(self) -> str:
        """How large it is, for systemd's status line."""
        crew = " and ".join(slot.role for slot in self.crew)
        return ", ".join(filter(None, [f"{len(self.slots)} workers" if self.slots else "", crew]))

    # Seats

    def seat(self, slot: Slot, worker: WorkerLink) -> None:
        """Have `worker`, which is ready, serve `slot`; who served it before drains."""
        before = slot.seat(worker)
        self.steer()
        if before:
            before.drain(self.settings.grace)
        if not worker.is_warm():  # it was lost while others were waited for
            self.lost(worker)

    async def boot(self, slot: Slot, generation: GenerationLink) -> WorkerLink:
        """Return a warm worker for `slot`; see `Nursery.worker`."""
        return await self.nursery.worker(slot, generation, self)

    def steer(self) -> None:
        """Send new connections only where somebody serves: promptly and without a hung request, where possible.

        Where there is nobody, they wait for the next one.
        """
        warm = [slot for slot in self.slots if slot.is_warm()]
        prompt = [slot for slot in warm if slot.current and slot.current.is_prompt()] or warm
        best = [slot.index for slot in prompt if not slot.hung] or [slot.index for slot in prompt]
        chosen = {index: self.weights[index] for index in best if index in self.weights}
        self.send_to(chosen or dict.fromkeys(best, 1))

    def send_to(self, weights: dict[int, int]) -> None:
        """Send new connections to slots by weight; says so, once, if that cannot be done."""
        problem = self.sockets.steer(weights)
        if problem:
            self.emit(
                Caution(text=f"Connections cannot be steered to workers ({problem}): the kernel spreads them by a hash")
            )

    def adopt(self, generation: GenerationLink) -> None:
        """Make `generation` the one in force and retire the one before."""
        before, self.generation = self.generation, generation
        if before and before is not generation:
            before.retire()
        if generation.gone:
            self.generation_lost(generation)
        else:
            self._usable.set()

    # What links tell

    def heard(self, worker: WorkerLink, fact: FromWorker) -> None:
        """Act on what a worker says."""
        match fact:
            case Hung():
                if slot := self._slot_of(worker):
                    slot.hung = True
                    self.steer()
                    if any(other.is_warm() and not other.hung for other in self.slots):
                        worker.tell(Shed(worker.traffic.active_connections))
                self.emit(
                    RequestHung(
                        slot=worker.slot, pid=worker.pid, request=fact.request, seconds=fact.seconds, stack=fact.stack
                    )
                )
                self._replace(worker)
            case Outgrown():
                if not worker.leaving:
                    self.emit(WorkerOutgrown(slot=worker.slot, pid=worker.pid, why=fact.why, role=worker.role))
                self._replace(worker)
            case Drained() if fact.abandoned:
                self.emit(WorkerOverran(slot=worker.slot, pid=worker.pid, abandoned=fact.abandoned, role=worker.role))
            case Beat() if fact.tasks:
                self._hear_of_broker(worker)

    def _hear_of_broker(self, worker: WorkerLink) -> None:
        tally = worker.tally
        if tally.broker == "waiting" and tally.problem and not worker.broker_away:
            worker.broker_away = True
            self.emit(BrokerAway(pid=worker.pid, problem=tally.problem))
        elif tally.broker == "connected" and worker.broker_away:
            worker.broker_away = False
            self.emit(BrokerBack(pid=worker.pid))

    def misbehaved(self, worker: WorkerLink, what: str) -> None:
        """Say that a worker made no sense; its link kills it, and `lost` follows."""
        self.emit(WorkerMisbehaved(slot=worker.slot, pid=worker.pid, what=what, role=worker.role))

    def overran(self, worker: WorkerLink) -> None:
        """Say that a worker did not end in time; its link kills it."""
        self._killed += 1
        self.emit(WorkerOverran(slot=worker.slot, pid=worker.pid, abandoned=worker.in_progress, role=worker.role))

    def lost(self, worker: WorkerLink) -> None:
        """Fill the slot of a lost worker."""
        self.nursery.bury(worker, self.close_unused)
        slot = self._slot_of(worker)
        if slot is None:
            return
        slot.vacate()
        self.steer()
        if not self.paused:
            self.run(self._succeed(slot, worker))

    def generation_lost(self, generation: GenerationLink) -> None:
        """Start another generation for one that died; its workers serve on meanwhile."""
        if generation is not self.generation:
            return
        self._usable.clear()
        if not (self.paused or self.reloading or generation.retired):
            self.run(self.recover(generation))

    # Keeping slots filled

    def fill(self, slot: Slot) -> None:
        """See to it that `slot` gets a worker, however long that takes."""
        if not slot.filling or slot.filling.done():
            slot.filling = self._start(self._fill(slot))

    async def _fill(self, slot: Slot) -> None:
        while self._wants(slot):
            if slot.wait:
                self.emit(CrashLoop(slot=slot.index, deaths=slot.backoff.deaths, wait=slot.wait, role=slot.role))
                wait, slot.wait = slot.wait, 0.0
                await asyncio.sleep(wait)
                continue
            generation = await self.usable_generation()
            try:
                worker = await self.boot(slot, generation)
            except HotplateError as error:
                if generation.usable:
                    self.emit(BootRefused(slot=slot.index, failure=Failure.of(error), role=slot.role))
                    slot.wait = max(slot.refused(), _LEAST_WAIT)
                continue
            slot.restarts += slot.seated
            if self._wants(slot):
                self.seat(slot, worker)
            else:
                worker.drain(self.settings.grace)

    def _wants(self, slot: Slot) -> bool:
        wanted = slot in self.crew if self.dozing else slot in self.every
        return wanted and slot.current is None and not self.paused

    def _slot_of(self, worker: WorkerLink) -> Slot | None:
        return next((slot for slot in self.every if slot.current is worker), None)

    async def usable_generation(self) -> GenerationLink:
        """Return the generation in force, waiting for one if there is none."""
        while not (self.generation and self.generation.usable):
            self._usable.clear()
            await self._usable.wait()
        return self.generation

    def _replace(self, worker: WorkerLink) -> None:
        slot = self._slot_of(worker)
        if slot and not worker.leaving and not self.paused:
            worker.leaving = True
            self.run(self._relieve(slot, worker))

    async def _relieve(self, slot: Slot, worker: WorkerLink) -> None:
        """Replace a worker that still serves; until another is ready it goes on."""
        backoff = Backoff()
        while slot in self.every and slot.current is worker and not self.paused:
            try:
                relief = await self.boot(slot, await self.usable_generation())
            except HotplateError as error:
                self.emit(BootRefused(slot=slot.index, failure=Failure.of(error), role=slot.role))
                await asyncio.sleep(max(_LEAST_WAIT, backoff.died(0.0, served=False)))
                continue
            if slot in self.every and slot.current in {worker, None}:
                slot.restarts += 1
                self.seat(slot, relief)
            else:
                relief.drain(self.settings.grace)

    async def recover(self, dead: GenerationLink | None = None) -> None:
        """Get a generation again; then relieve, one by one, the workers that outlived theirs."""
        if dead:
            self.emit(GenerationDied(generation=dead.number, pid=dead.process.pid, status=await dead.process.status()))
        backoff = Backoff()
        while not self.paused:
            try:
                self.adopt(await self.nursery.generation(self.generation_lost))
                break
            except HotplateError as error:
                wait = max(_LEAST_WAIT, backoff.died(0.0, served=False))
                self.emit(GenerationRefused(failure=Failure.of(error), wait=wait))
                await asyncio.sleep(wait)
        for slot in self.every:
            worker = slot.current
            if worker and worker.generation is not self.generation and not worker.leaving:
                worker.leaving = True
                await self._relieve(slot, worker)

    async def _succeed(self, slot: Slot, worker: WorkerLink) -> None:
        """Say how a worker died, and have its slot filled: at once, unless it is a crash loop."""
        lived, served = worker.lived, worker.has_served
        status = await worker.process.status(_TO_TELL) if worker.process else None
        before, self._oom_kills = self._oom_kills, oom_kills()
        out_of_memory = status == -signal.SIGKILL and self._oom_kills > before
        self.emit(
            WorkerDied(
                slot=worker.slot,
                pid=worker.pid,
                status=status,
                lived=lived,
                out_of_memory=out_of_memory,
                role=worker.role,
            )
        )
        # Killed by neither the kernel nor us, it was somebody's hand, and the next one has no reason to die.
        if status != -signal.SIGKILL or out_of_memory or worker.condemned:
            slot.died(lived, served=served)
        self.fill(slot)

    # Number of slots

    def open_slot(self) -> Slot:
        """Return one more slot; nobody serves it yet.

        Raises:
            HotplateError: its listeners cannot be opened.
        """
        index = len(self.slots)
        slot = self.leaving.pop(index, None) or Slot(index)
        self.sockets.of(index)
        self.slots.append(slot)
        return slot

    def close_slot(self) -> Slot:
        """Take the highest slot out; its listeners are closed when its last worker has ended."""
        slot = self.slots.pop()
        self.leaving[slot.index] = slot
        slot.stop_filling()
        self.steer()
        return slot

    def close_unused(self) -> None:
        """Close the listeners of removed slots that nobody uses, from the highest down (their order is their index)."""
        in_use = {worker.slot for worker in self.nursery.workers if worker.role == "web"}
        while self.leaving and (highest := max(self.leaving)) not in in_use and not self.leaving[highest].current:
            del self.leaving[highest]
            self.sockets.close_last()

    # The end

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside everything else, until the end at most."""
        self._start(work)  # type: ignore[unused-awaitable]  # it is kept and looked at when it has ended

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)
        return task

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            _log.error("A bug in the master; it goes on", exc_info=bug)

    async def rest(self, grace: float) -> None:
        """Have every worker finish and end, and the generation with them; returns at once."""
        self.paused = True
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
        for worker in list(self.nursery.workers):
            worker.drain(grace)
        for slot in self.every:
            slot.vacate()
        for generation in list(self.nursery.generations):
            generation.retire()

    def doze(self, grace: float) -> None:
        """Have every web worker finish and end, while the crew goes on; returns at once."""
        self.dozing = True
        for slot in self.slots:
            slot.stop_filling()
            slot.vacate()
        for worker in [worker for worker in self.nursery.workers if worker.role == "web"]:
            worker.drain(grace)

    async def stop(self, grace: float) -> int:
        """End everything within `grace` seconds; returns how many workers had to be killed."""
        self._killed = 0
        await self.rest(grace)
        await self._ended(grace + _AFTER_GRACE, generations=False)
        await self._ended(_GOODBYE, generations=True)
        self.kill()
        await self._ended(_GOODBYE, generations=True)
        return self._killed

    def kill(self) -> None:
        """End everything now."""
        for worker in list(self.nursery.workers):
            self._killed += 1
            worker.kill()
        for generation in list(self.nursery.generations):
            generation.kill()

    async def _ended(self, within: float, *, generations: bool) -> None:
        processes = [worker.process.exited for worker in self.nursery.workers if worker.process]
        if generations:
            processes += [generation.process.exited for generation in self.nursery.generations]
        if processes:
            await asyncio.wait(processes, timeout=within)
