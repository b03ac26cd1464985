"""Brings generations and workers into the world, or says why they did not come."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Callable

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings
from hotplate.supervisor.events import Event, GenerationImported, PreloadGivenUp, WorkerReady
from hotplate.supervisor.generationlink import GenerationLink, Preload, Program
from hotplate.supervisor.messages import Failure, Fork, Imported, PreloadRefused, Ready
from hotplate.supervisor.process import Process, Reaper
from hotplate.supervisor.slots import Slot
from hotplate.supervisor.sockets import Sockets
from hotplate.supervisor.words import ending
from hotplate.supervisor.workerlink import Listens, WorkerLink

_TO_DUMP = 0.3  # seconds a process gets to write its stacks before it is killed

Emit = Callable[[Event], None]


class Nursery:
    """Starts processes for the fleet.

    Args:
        settings: what they serve, and how long a boot may take.
        sockets: where workers get their listeners from.
        emit: told of what happens.
        program: what a generation is started as, and where.
    """

    def __init__(self, settings: Settings, sockets: Sockets, emit: Emit, program: Program) -> None:
        self.reaper = Reaper()
        self.generations: set[GenerationLink] = set()
        self.workers: set[WorkerLink] = set()
        self._settings = settings
        self._sockets = sockets
        self._emit = emit
        self._program = program
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self.next_number = 1

    async def generation(self, lost: Callable[[GenerationLink], None]) -> GenerationLink:
        """Return a generation that has imported the app.

        Raises:
            HotplateError: it could not, for the reason the app's process gave, or in time.
        """
        link, outcome = await self._import(self._settings.preload, lost)
        if isinstance(outcome, PreloadRefused):
            self._emit(PreloadGivenUp(reasons=outcome.reasons))
            link.retire()
            link, outcome = await self._import("off", lost)
        match outcome:
            case Imported():
                self._emit(_imported(link, outcome))
                return link
            case Failure():
                link.retire()
                raise outcome.error()
            case _:
                link.retire()
                raise _stillborn("import the app", await _end(link.process), self._settings)

    async def worker(self, slot: Slot, generation: GenerationLink, told: Listens) -> WorkerLink:
        """Return a warm worker for `slot`, which accepts from its listeners, or takes tasks, already.

        Raises:
            HotplateError: it failed, ended, or did not get ready in time; nothing of it is left.
        """
        listeners = self._sockets.of(slot.index) if slot.role == "web" else []
        order = Fork(slot.index, next(self._serials), len(listeners), slot.role, slot.tasks, slot.next_turn())
        worker = generation.fork(order, listeners, told)
        self.workers.add(worker)
        try:
            async with asyncio.timeout(self._settings.boot_timeout):
                outcome = await asyncio.shield(worker.booted)
        except TimeoutError:
            await self._dump_and_kill(worker.kill)
            raise _late(f"start {slot.title}", self._settings) from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        match outcome:
            case Ready():
                generation.tasks = generation.tasks or outcome.tasks
                self._emit(
                    WorkerReady(
                        slot=slot.index,
                        role=slot.role,
                        pid=worker.pid,
                        seconds=outcome.seconds,
                        private=outcome.private,
                        warmed=outcome.warmed,
                    )
                )
                return worker
            case Failure():
                raise outcome.error()
            case None:
                raise _stillborn(f"start {slot.title}", await _end(worker.process), self._settings)

    def bury(self, worker: WorkerLink, then: Callable[[], None]) -> None:
        """Drop a lost worker, and call `then`, as soon as its process has ended."""

        def drop(_ended: object = None) -> None:
            self.workers.discard(worker)
            then()

        if worker.process:
            worker.process.exited.add_done_callback(drop)
        else:
            drop()

    async def _import(
        self, preload: Preload, lost: Callable[[GenerationLink], None]
    ) -> tuple[GenerationLink, Imported | Failure | PreloadRefused | None]:
        self.next_number = (number := next(self._numbers)) + 1
        link = GenerationLink(number, self._settings, preload, self.reaper, lost, self._program)
        self.generations.add(link)
        link.process.exited.add_done_callback(lambda _: self.generations.discard(link))
        try:
            async with asyncio.timeout(self._settings.boot_timeout):
                return link, await asyncio.shield(link.outcome)
        except TimeoutError:
            await self._dump_and_kill(link.process.kill)
            raise _late("import the app", self._settings) from None
        finally:
            if not link.outcome.done():
                link.retire()

    async def _dump_and_kill(self, kill: Callable[[signal.Signals], None]) -> None:
        try:
            kill(signal.SIGUSR2)  # has it write its stacks to the log: where does it hang?
            await asyncio.sleep(_TO_DUMP)
        finally:
            kill(signal.SIGKILL)


def _imported(link: GenerationLink, fact: Imported) -> GenerationImported:
    return GenerationImported(
        generation=link.number,
        pid=link.process.pid,
        app=fact.app,
        kind=fact.kind,
        framework=fact.framework,
        seconds=fact.seconds,
        preloaded=fact.preloaded,
        why=fact.why,
        release=fact.release,
        release_why=fact.release_why,
    )


async def _end(process: Process | None) -> int | None:
    return await process.status() if process else None


def _stillborn(attempted: str, status: int | None, settings: Settings) -> HotplateError:
    remedies = {
        -signal.SIGKILL: "The kernel kills where memory runs out: look at dmesg, and at the limits of memory.",
        -signal.SIGSEGV: "A compiled module crashed; if it works in `python`, it is not safe to fork: --preload off.",
    }
    remedy = remedies.get(status or 0, "What it wrote last, above, should say why.")
    if settings.preload == "off" and status == -signal.SIGSEGV:
        remedy = "A compiled module crashed: import the app in `python -X faulthandler` to see which."
    return HotplateError(
        attempted, f"its process {ending(status)} before it was ready", remedy, code=ExitCode.WORKER_BOOT_FAILED
    )


def _late(attempted: str, settings: Settings) -> HotplateError:
    return HotplateError(
        attempted,
        f"it was not ready after {settings.boot_timeout:g} s (its stacks are in the log)",
        "If it really needs that long, allow more, such as --boot-timeout 10m.",
        code=ExitCode.WORKER_BOOT_FAILED,
    )
