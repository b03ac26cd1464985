"""The master: holds the sockets and the desired state, and never imports the app.

It is an asyncio process of its own; everything that may fail because of the app happens in a generation or a worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from setproctitle import setproctitle

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Resolved, folder
from hotplate.supervisor import (
    cachefolder,
    control,
    crewing,
    generationlink,
    process,
    rendezvous,
    signals,
    systemd,
    tasksplace,
)
from hotplate.supervisor.control import Done, Order, Reload, ReloadDone, Scale, ScaleDone, Status, Stop, StopDone
from hotplate.supervisor.crewevents import TasksServing
from hotplate.supervisor.events import Draining, Event, Listening, ScaleRefused, Serving, Starting, Stopped
from hotplate.supervisor.fleet import Fleet
from hotplate.supervisor.idling import Idling
from hotplate.supervisor.launch import launch
from hotplate.supervisor.messages import Failure
from hotplate.supervisor.nursery import Nursery
from hotplate.supervisor.pulse import Pulse
from hotplate.supervisor.reporting import Reporter
from hotplate.supervisor.rolling import Reloader
from hotplate.supervisor.scaling import scale
from hotplate.supervisor.signals import Action
from hotplate.supervisor.sockets import Sockets

_log = logging.getLogger("hotplate.master")

OnEvent = Callable[[Event], None]


def run(resolved: Resolved, on_event: OnEvent, command: Sequence[str] = generationlink.COMMAND) -> int:
    """Serve until told to stop.

    Args:
        resolved: the settings and where they came from.
        on_event: called with each event, in the master's loop; must not take long.
        command: what a generation is started as.

    Returns:
        The exit status: `OK`, or `INTERRUPTED` when the end was not waited for.

    Raises:
        HotplateError: it cannot start; nothing is left behind.

    Example:
        status = run(resolve({"target": "app:app"}, os.environ, Path.cwd()), lambda event: print(event.line()))
    """
    here = folder.current(os.environ)
    settings = resolved.settings
    if control.find(here, settings.name):
        status = control.ask(here, settings.name, Status(), patience=5)
        raise rendezvous.already_running(here, settings.name, str(getattr(status, "pid", "")))
    claim = rendezvous.claim(here, settings.name)
    try:
        setproctitle(f"hotplate: master {settings.target}".rstrip())
        process.adopt_orphans()
        return asyncio.run(Master(resolved, on_event, claim, command).serve())
    finally:
        claim.release()


class Master:
    """One instance.

    Args:
        resolved: the settings and where they came from.
        on_event: is told what happens.
        claim: where the control socket goes, and generations are started.
        command: what a generation is started as.
    """

    def __init__(self, resolved: Resolved, on_event: OnEvent, claim: rendezvous.Claim, command: Sequence[str]) -> None:
        self._settings = settings = resolved.settings
        self._on_event = on_event
        self._claim = claim
        self._began = time.monotonic()
        self._notifier = systemd.Notifier(os.environ)
        inherited = systemd.inherited(os.environ)
        # What systemd hands over stands in for the default address, and beside any that was asked for.
        binds = () if inherited and resolved.origins.get("bind") == "default" else settings.bind
        if settings.only == "tasks":
            binds, inherited = (), []
        scheme = "https" if settings.cert else "http"
        self._activated = bool(inherited)
        self._sockets = Sockets(binds, settings.backlog, inherited, scheme)
        handed_on = {**cachefolder.make(claim, settings), **tasksplace.variables(settings, claim.folder, os.environ)}
        program = generationlink.Program(command, claim.folder, handed_on)
        self._nursery = Nursery(settings, self._sockets, self._emit, program)
        self._fleet = Fleet(settings, self._sockets, self._nursery, self._emit)
        self._reporter = Reporter(self._fleet, self._began, claim)
        self._end_asked: str = ""
        self._end_wanted = asyncio.Event()
        self._end_by = 0
        self._ended = asyncio.Event()
        self._started = asyncio.Event()

    async def serve(self) -> int:
        """Start, serve, and stop when told to; see `run`."""
        self._reloader = Reloader(self._fleet, self._notifier)
        self._idling = Idling(self._fleet, self._reporter)
        server = control.Server(self._claim.socket, self._obey)
        self._fleet.run(self._claim.keep_fresh())
        signals.install(self._act, self._nursery.reaper.collect)
        try:
            self._emit(Starting(target=self._settings.target, pid=os.getpid()))
            if self._sockets.addresses:
                self._emit(Listening(addresses=self._sockets.addresses))
            await server.open()
            if await self._unless_ended(launch(self._fleet)):
                await self._go_on()
        except BaseException:
            await self._stop(server, 0)
            raise
        return await self._stop(server, self._settings.grace if self._started.is_set() else 0)

    async def _go_on(self) -> None:
        self._started.set()
        self._reporter.started = True
        self._emit(self._begun(time.monotonic() - self._began))
        self._notifier.ready(self._fleet.size)
        pulse = Pulse(self._fleet, self._notifier, self._idle)
        await self._unless_ended(pulse.beat())

    def _begun(self, seconds: float) -> Event:
        """Have the crew come where there are web workers to come first; returns what is to be said."""
        fleet = self._fleet
        if self._settings.only == "tasks":
            roles = {slot.role: slot for slot in fleet.crew}
            tasks = roles["tasks"].tasks if "tasks" in roles else 0
            return TasksServing(workers=tasks, beat="beat" in roles, seconds=seconds)
        crewing.man(fleet)
        return Serving(addresses=self._sockets.addresses, workers=len(fleet.slots), seconds=seconds)

    async def _unless_ended(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do some work; False if the end was asked for before it was done."""
        task = asyncio.create_task(work)
        end = asyncio.create_task(self._end_wanted.wait())
        try:
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            for each in (task, end):
                each.cancel()
            with suppress(asyncio.CancelledError):
                await task if not task.done() else None

    async def _stop(self, server: control.Server, grace: float) -> int:
        began = time.monotonic()
        self._reporter.stopping = True
        self._notifier.stopping()
        if grace:
            roles = [worker.role for worker in self._nursery.workers]
            web, tasks = roles.count("web"), "tasks" in roles
            self._emit(Draining(workers=web, grace=grace, why=self._end_asked, tasks=tasks))
        self._reloader.cancel()
        self._idling.forget()
        self._sockets.close()
        killed = await self._fleet.stop(grace)
        server.close()
        self._claim.hide()
        self._emit(Stopped(seconds=time.monotonic() - began, killed=killed))
        self._ended.set()
        await server.finish()
        forced = self._end_by > 1 or (self._end_asked == "SIGINT" and not self._started.is_set())
        return int(ExitCode.INTERRUPTED if forced else ExitCode.OK)

    # Orders

    def _act(self, number: signal.Signals, action: Action) -> None:
        match action:
            case Action.STOP:
                self._end(number.name)
            case Action.END:
                self._end(number.name)
                self._end_by += 1
                self._fleet.kill()
            case Action.RELOAD:
                self._fleet.run(self._quietly(self._reload()))
            case Action.GROW | Action.SHRINK:
                self._fleet.run(self._quietly(self._scale(1 if action is Action.GROW else -1)))
            case Action.NOTHING:
                pass

    def _end(self, why: str) -> None:
        self._end_by += 1
        self._end_asked = self._end_asked or why
        self._end_wanted.set()
        if self._end_by > 1:
            self._fleet.kill()

    async def _obey(self, order: Order) -> Done:
        match order:
            case Status():
                return self._reporter.report()
            case Reload():
                return await self._reload()
            case Scale():
                return await self._scale(order.by)
            case Stop():
                if not self._end_wanted.is_set():
                    self._end("hotplate stop")
                if order.wait:
                    await self._ended.wait()
                return StopDone(os.getpid(), ended=order.wait)

    async def _reload(self) -> ReloadDone:
        await self._awake("reload")
        try:
            done = await self._reloader.reload()
        except asyncio.CancelledError:
            self._refuse_at_the_end("reload")
            raise
        return ReloadDone(done.generation, done.workers, done.seconds)

    async def _scale(self, by: int) -> ScaleDone:
        await self._awake("change the number of workers")
        try:
            return ScaleDone(await scale(self._fleet, by))
        except HotplateError as error:
            self._emit(ScaleRefused(failure=Failure.of(error)))
            raise

    async def _awake(self, order: str) -> None:
        """Return when the start is over, and nobody sleeps."""
        await self._unless_ended(self._started.wait())
        self._refuse_at_the_end(order)
        self._idling.wake()

    def _refuse_at_the_end(self, order: str) -> None:
        if self._end_wanted.is_set():
            raise HotplateError(
                order, f"the instance is stopping ({self._end_asked})", "Start it again.", code=ExitCode.NOT_RUNNING
            )

    async def _quietly(self, work: Coroutine[Any, Any, Done]) -> None:
        with suppress(HotplateError):  # nobody waits for the answer, and the log has it
            await work

    async def _idle(self, idle: float) -> None:
        if self._activated and not self._fleet.crew:  # systemd holds the sockets and starts us again
            self._end(f"no request for {idle:.0f} s")
        else:
            await self._idling.sleep(idle)

    def _emit(self, event: Event) -> None:
        try:
            self._on_event(event)
        except OSError:
            pass  # the terminal is gone; that is no reason to stop serving
        except Exception:  # noqa: BLE001  a bug in the printing must not end the serving
            _log.exception("An event could not be shown")
