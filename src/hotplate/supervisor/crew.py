"""A process that runs tasks, or sends those that are scheduled: boots the app, gets warm, and leaves when told to.

Celery has the main thread. A thread beside it listens to the master; it holds no lock while a child may be forked.
"""

from __future__ import annotations

import hashlib
import os
import platform
import select
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import msgspec
import psutil

from hotplate.apps import warmups
from hotplate.database import pools
from hotplate.gateway.traffic import Traffic
from hotplate.machine import private
from hotplate.settings import SETTINGS, folder
from hotplate.supervisor import inherit, tasked, taskless, worker
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.job import Job
from hotplate.supervisor.messages import Beat, Drain, Drained, FromWorker, Outgrown, Ready, ToWorker, Warmed
from hotplate.supervisor.recycle import Recycling
from hotplate.supervisor.tally import Tally

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hotplate.tasks.found import Found
    from hotplate.tasks.worker.counting import Counts
    from hotplate.tasks.worker.run import Plan

_BEAT = 1.0  # seconds
_SAMPLE = 5.0  # seconds between two looks at the memory, as for web workers
_AFTERWARDS = 1.0  # seconds exit handlers get

Line = Channel[FromWorker, ToWorker]


def main(job: Job) -> NoReturn:
    """Do the job in this process, which has just been forked, and end it.

    Args:
        job: what to do; its birth says in which role.
    """
    line: Line = Channel(job.birth.channel, ToWorker)
    try:
        job = worker.equipped(job)
        talk = Talk(line, job, tuple(map(_warm, warmups.registered())))
        inherit.calm_collector()
        status = _serve(job, talk)
    except Exception as error:  # noqa: BLE001  reported with its traceback
        inherit.leave(worker.report(line, error), 0)
    talk.leave()
    inherit.leave(status, max(_AFTERWARDS, talk.time_left()))


def _serve(job: Job, talk: Talk) -> int:
    found = job.found
    if found is None:
        raise taskless.nothing(str(job.target))
    if job.birth.order.role == "beat":
        from hotplate.tasks.beat import serve

        return serve.serve(found.app, on_ready=talk.ready_alone, should_stop=talk.is_over)
    from hotplate.tasks.worker import run

    # Where the app is imported by this process, nobody could tell before.
    if not found.tasks and job.settings.task_workers == "auto":
        raise taskless.idle(found.name)
    return run.serve(found.app, _plan(job, found), talk)


def _plan(job: Job, found: Found) -> Plan:
    from hotplate.tasks import queues
    from hotplate.tasks.worker.run import Plan

    settings = job.settings
    queues.refuse_unknown(found.app, settings.task_queues)
    return Plan(
        name=node(job),
        title=f"hotplate: tasks {job.target}",
        concurrency=job.birth.order.tasks,
        max_memory=settings.task_memory,
        # What nobody asked for is left to the app's own settings.
        attempts=0 if settings.task_attempts == SETTINGS["task_attempts"].default else settings.task_attempts,
        nice=settings.task_nice,
        queues=settings.task_queues or found.queues,
    )


def node(job: Job) -> str:
    """Return the name by which a broker knows this process: that of its predecessor, if that is surely dead."""
    served = hashlib.sha256(os.fsencode(folder.current(os.environ))).hexdigest()[:8]  # another release is another one
    return f"hotplate-{job.settings.name}-{served}-{job.birth.order.turn}@{platform.node()}"


class Talk:
    """What this process and the master say to each other.

    Args:
        line: to the master.
        job: what this process does.
        warmed: how it got warm.
    """

    def __init__(self, line: Line, job: Job, warmed: tuple[Warmed, ...]) -> None:
        self._line = line
        self._job = job
        self._warmed = warmed
        self._engines: Sequence[Engine] = (*job.engines, *pools.find())
        pools.close_idle(self._engines)
        self._deadline = float("inf")  # on the monotonic clock
        self._said = False  # that it is ready, which comes before all else
        self._sampled = 0.0
        self._running = 0
        self._recycling = Recycling(0, job.settings.task_memory, job.birth.serial, "task_memory")
        self._left = False
        self._room = select.poll()
        self._room.register(line.fileno(), select.POLLOUT)
        threading.Thread(target=self._listen, name="hotplate-line", daemon=True).start()

    def ready(self, processes: tuple[int, ...]) -> None:
        """Tell the master that tasks are taken; see `hotplate.tasks.worker.run.Talk`."""
        release = self._job.release.text if self._job.release else ""
        seconds = time.monotonic() - self._job.birth.began
        with suppress(Closed):  # the end of the line is dealt with where it is read
            self._line.send(Ready(seconds, _private(processes), self._warmed, release, tasked.told(self._job.found)))
        self._said = True

    def ready_alone(self) -> None:
        """Tell the master that what is scheduled will be sent, by this process or by whoever does so now."""
        self.ready(())

    def counts(self, counts: Counts) -> None:
        """Tell the master how it goes; skipped while the master does not read."""
        self._running = len(counts.running)
        self._beat(msgspec.convert(counts, Tally, from_attributes=True), counts.processes)

    def in_child(self) -> None:
        """Undo, in a process that runs tasks, what belongs to this one."""
        self._line.close()
        inherit.part(self._engines)

    def is_over(self) -> bool:
        """Say whether this process was told to leave."""
        return self._deadline < float("inf")

    def time_left(self) -> float:
        """Return the seconds of grace that are left."""
        return min(self._job.settings.grace, self._deadline - time.monotonic())

    def leave(self, abandoned: int = 0) -> None:
        """Tell the master that nothing is left to be done, or what is left undone."""
        if not self._left:
            self._left = True
            with suppress(Closed):
                self._line.send(Drained(abandoned))

    def _beat(self, counts: Tally | None, processes: tuple[int, ...]) -> None:
        if not self._said or not self._room.poll(0):
            return
        now, size, outgrown = time.monotonic(), 0, ""
        if now - self._sampled >= _SAMPLE:
            self._sampled, size = now, _private(processes)
            outgrown = self._recycling.due(0, _private(()))
        with suppress(Closed):
            if outgrown:
                self._line.send(Outgrown(outgrown))
            self._line.send(Beat(Traffic(), size, counts))

    def _listen(self) -> None:
        """Heed the master until the end; without one, leave: nobody would replace this process or stop it."""
        poll = select.poll()
        poll.register(self._line.fileno(), select.POLLIN)
        grace = self._job.settings.grace
        while time.monotonic() < self._deadline:
            left = min(_BEAT, max(0.0, self._deadline - time.monotonic()))
            try:
                if poll.poll(left * 1000):
                    for order, _descriptors in self._line.feed():
                        if isinstance(order, Drain):
                            self._drain(order.grace)
                elif self._job.birth.order.role == "beat":
                    self._beat(None, ())
            except (Closed, OSError):
                self._drain(grace)
                poll.unregister(self._line.fileno())
                time.sleep(max(0.0, self._deadline - time.monotonic()))
        if self._job.birth.order.role == "tasks":
            self.leave(self._running)
        # What is not finished is given back to the broker.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGQUIT)

    def _drain(self, grace: float) -> None:
        """Take nothing new, finish what runs; said again, it can only make the time for that shorter."""
        first = not self.is_over()
        self._deadline = min(self._deadline, time.monotonic() + grace)
        if first and self._job.birth.order.role == "tasks":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _warm(item: warmups.Warmup) -> Warmed:
    began = time.perf_counter()
    warmups.run(item)
    return Warmed(item.name, time.perf_counter() - began)


def _private(processes: tuple[int, ...]) -> int:
    """Return what this process and those that run its tasks have of their own, in bytes."""
    total = 0
    for pid in (os.getpid(), *processes):
        with suppress(psutil.Error):
            total += private(pid)
    return total
