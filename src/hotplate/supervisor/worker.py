"""A worker: boots the app's gateway, gets it warm, serves, and leaves when told to, by whatever way it hears of it."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import time
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from hotplate.errors import ExitCode, HotplateError
from hotplate.machine import private
from hotplate.supervisor import inherit, releasing, tasked
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.job import GatewayFactory, Job, Request, Serves
from hotplate.supervisor.messages import (
    Beat,
    BootFailed,
    Drain,
    Drained,
    Failure,
    FromWorker,
    Hung,
    Outgrown,
    Parked,
    Ready,
    Shed,
    ToWorker,
    Warmed,
)
from hotplate.supervisor.recycle import Recycling
from hotplate.supervisor.resident import Sampler
from hotplate.supervisor.warming import Warming

_log = logging.getLogger("hotplate.worker")

_BEAT = 0.25  # seconds
_LOOK = 0.05  # seconds between two looks at a draining gateway
_SLACK = 0.5  # seconds a gateway may be late with its own grace before it is cut off
_AFTERWARDS = 1.0  # seconds the app's shutdown gets at least, however long the draining took


def main(job: Job, factory: GatewayFactory) -> NoReturn:
    """Do the job in this process, which has just been forked, and end it.

    Args:
        job: what to do.
        factory: makes the gateway.
    """
    line: Channel[FromWorker, ToWorker] = Channel(job.birth.channel, ToWorker)
    try:
        job = equipped(job)
        gateway = factory(job.app, job.settings)  # type: ignore[arg-type]  # it has one now
    except Exception as error:  # noqa: BLE001  reported with its traceback
        inherit.leave(report(line, error), 0)
    worker = Worker(job, line, gateway)
    inherit.calm_collector()
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    status = loop.run_until_complete(worker.run())
    # What failed to start has nothing to finish.
    inherit.leave(status, 0 if status else max(_AFTERWARDS, worker.time_left()))


def equipped(job: Job) -> Job:
    """Return the job with the app in it, imported here where the generation has not done that.

    Raises:
        HotplateError: see `hotplate.apps.load.load`, and `hotplate.supervisor.tasked.look`.
    """
    releasing.hand_on(job.settings, job.release)
    if job.app is not None:
        return job
    app, release = releasing.loaded(job.target, job.cwd, job.settings)
    releasing.hand_on(job.settings, release)
    return job._replace(app=app, release=release, found=tasked.look(app))


def report(line: Channel[FromWorker, ToWorker], error: BaseException) -> int:
    """Tell the master why this worker cannot serve; returns the exit status that goes with it."""
    if not isinstance(error, HotplateError):
        error = HotplateError(
            "start a worker",
            "".join(traceback.format_exception_only(error)),
            "This looks like a fault in Hotplate; please report it with these lines.",
            code=ExitCode.FAILED,
            detail="".join(traceback.format_exception(error)),
        )
    with suppress(Closed):
        line.send(BootFailed(Failure.of(error)))
    return int(error.code)


class Worker:
    """A worker within its event loop.

    Args:
        job: what to do.
        line: to the master.
        gateway: serves the app.
    """

    def __init__(self, job: Job, line: Channel[FromWorker, ToWorker], gateway: Serves) -> None:
        self._job = job
        self._settings = job.settings
        self._line = line
        self._gateway = gateway
        self._told_to_leave = asyncio.Event()
        self._deadline = float("inf")  # on the monotonic clock
        self._memory = Sampler(eager=job.settings.max_memory > 0)
        self._recycling = Recycling(job.settings.max_requests, job.settings.max_memory, job.birth.serial)
        gateway.on_hung = self._hung

    async def run(self) -> int:
        """Boot, serve, drain; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._listen)
        loop.add_signal_handler(signal.SIGTERM, self.drain, self._settings.grace)
        booting = loop.create_task(self._boot())
        leaving = loop.create_task(self._told_to_leave.wait())
        await asyncio.wait({booting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():  # nobody wants this worker any more
            booting.cancel()
            return int(ExitCode.OK)
        failure = booting.exception()
        if failure is not None:
            return report(self._line, failure)
        helpers = [loop.create_task(self._beat()), loop.create_task(self._memory.run())]
        await leaving
        abandoned = await self._drain()
        for helper in helpers:
            helper.cancel()
        with suppress(Closed):
            self._line.send(Drained(abandoned))
        return int(ExitCode.OK)

    def drain(self, grace: float) -> None:
        """Take no more connections and leave within `grace` seconds; said again, it can only make it shorter."""
        self._deadline = min(self._deadline, time.monotonic() + grace)
        self._told_to_leave.set()

    def time_left(self) -> float:
        """Return the seconds of grace that are left."""
        return self._deadline - time.monotonic()

    async def _boot(self) -> None:
        warming = Warming(self._gateway, self._settings.warmup)
        left = self._settings.boot_timeout - (time.monotonic() - self._job.birth.began)
        try:
            async with asyncio.timeout(left):
                await self._gateway.startup()
                warmed = await warming.run()
        except TimeoutError as error:
            raise warming.too_slow(self._settings.boot_timeout) from error
        self._gateway.serve(self._job.birth.listeners)
        self._say_ready(warmed)

    def _say_ready(self, warmed: tuple[Warmed, ...]) -> None:
        seconds = time.monotonic() - self._job.birth.began
        with suppress(Closed):  # the end of the line is dealt with where it is read
            release = self._job.release.text if self._job.release else ""
            found = tasked.told(self._job.found)
            self._line.send(Ready(seconds, private(os.getpid()), warmed, release, found))

    async def _drain(self) -> int:
        """Have the gateway finish what is there; returns how many requests were cut off."""
        self._gateway.park()
        with suppress(Closed):
            self._line.send(Parked())
        draining = asyncio.ensure_future(self._gateway.drain(max(0.0, self.time_left())))
        while not draining.done() and self.time_left() > -_SLACK:
            await asyncio.wait({draining}, timeout=_LOOK)  # the deadline may come nearer meanwhile
        if draining.done():
            abandoned = draining.result()
        else:
            draining.cancel()
            abandoned = self._gateway.snapshot().in_flight
        await self._within(max(_AFTERWARDS, self.time_left()), self._gateway.shutdown())
        return abandoned

    async def _within(self, seconds: float, ending: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wait_for(ending, seconds)
        except TimeoutError:
            _log.warning("The app's shutdown did not end in %.1f s and is cut off", seconds)
        except Exception:  # noqa: BLE001  logged with its traceback; the worker leaves all the same
            _log.exception("The app's shutdown failed")

    def _listen(self) -> None:
        try:
            for order, _descriptors in self._line.feed():
                match order:
                    case Drain():
                        self.drain(order.grace)
                    case Shed():
                        self._gateway.shed(order.connections)
        except Closed:  # the master has died: nobody would replace this worker, restart it or stop it
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self.drain(self._settings.grace)

    async def _beat(self) -> None:
        """Tell the master four times a second how it goes; skipped while the master does not read."""
        poll = select.poll()
        poll.register(self._line.fileno(), select.POLLOUT)
        while True:
            await asyncio.sleep(_BEAT)
            traffic, private = self._gateway.snapshot(), self._memory.take()
            outgrown = self._recycling.due(traffic.requests, private)
            with suppress(Closed):
                if outgrown:
                    self._line.send(Outgrown(outgrown))
                if poll.poll(0):
                    self._line.send(Beat(traffic, private))

    def _hung(self, request: Request, stack: str) -> None:
        seconds = time.perf_counter() - request.started
        with suppress(Closed):
            self._line.send(Hung(f"{request.method} {request.path}", seconds, stack))


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where it exists."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
