"""The master's end of a generation: starts it, has it fork workers, and takes note of what it says of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hotplate.settings import Settings, folder
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.messages import (
    Configure,
    Failure,
    Fork,
    Forked,
    FromGeneration,
    Imported,
    ImportFailed,
    PreloadRefused,
    Reaped,
    Retire,
    TasksFound,
    ToGeneration,
)
from hotplate.supervisor.process import Process, Reaper, read_out
from hotplate.supervisor.workerlink import Listens, WorkerLink

Preload = Literal["auto", "on", "off"]

# -P: a file in the app's folder must not stand in for a module of ours or of the standard library while we start.
COMMAND = (sys.executable, "-P", "-m", "hotplate.supervisor.generation", "--channel")


class Program(NamedTuple):
    """What a generation is started as.

    Args:
        command: the channel's descriptor is appended.
        folder: where; entered anew for each generation, since a link in its path may lead elsewhere by then.
        environ: variables beside those of the master.
    """

    command: Sequence[str]
    folder: Path
    environ: Mapping[str, str] = {}


class GenerationLink:
    """One generation.

    Args:
        number: counted from 1.
        settings: what it serves.
        preload: whether it imports the app before it forks.
        reaper: collects its process.
        lost: called once, when it is not to be counted on any more.
        program: what to start, and where.

    Raises:
        HotplateError: APP_NOT_FOUND; the folder is not there any more.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        preload: Preload,
        reaper: Reaper,
        lost: Callable[[GenerationLink], None],
        program: Program,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.number = number
        self.preload = preload
        self.outcome: asyncio.Future[Imported | Failure | PreloadRefused | None] = self._loop.create_future()
        self.tasks: TasksFound | None = None  # known after the import, or without preload from the first worker
        self.retired = False
        self.gone = False
        self._reaper = reaper
        self._lost = lost
        self._workers: dict[int, WorkerLink] = {}
        ours, theirs = socket.socketpair()
        try:
            with theirs, folder.entered(program.folder):
                self.process = Process(_spawn(program, theirs), reaper, self._ended)
        except BaseException:
            ours.close()
            raise
        ours.settimeout(0)
        self._channel: Channel[ToGeneration, FromGeneration] = Channel(ours, FromGeneration)
        self._loop.add_reader(ours.fileno(), self._read)
        self._tell(Configure(settings, preload))

    @property
    def usable(self) -> bool:
        """Whether workers can be forked from it."""
        return not self.gone and not self.retired and self.outcome.done()

    def fork(self, order: Fork, listeners: Sequence[socket.socket], told: Listens) -> WorkerLink:
        """Have a worker forked."""
        ours, theirs = socket.socketpair()
        with theirs:
            worker = WorkerLink(order, self, ours, told)
            self._workers[order.serial] = worker
            descriptors = [*(listener.fileno() for listener in listeners), theirs.fileno()]
            self._tell(order, descriptors)
        return worker

    def retire(self) -> None:
        """Have it fork no more; it ends with its last worker, before it is ready at once."""
        if self.retired:
            return
        self.retired = True
        if self.outcome.done():
            self._tell(Retire())
        else:
            self.process.kill(signal.SIGKILL)

    def kill(self) -> None:
        """End it now; its workers find out and drain."""
        self.retired = True
        self.process.kill(signal.SIGKILL)

    def forget(self, worker: WorkerLink) -> None:
        """Drop a worker whose process has ended."""
        self._workers.pop(worker.serial, None)

    def _tell(self, order: ToGeneration, descriptors: Sequence[int] = ()) -> None:
        try:
            self._channel.send(order, descriptors)
        except Closed:
            self._lose()

    def _read(self) -> None:
        try:
            for fact, descriptors in self._channel.feed():
                for descriptor in descriptors:  # a generation has nothing to hand over
                    os.close(descriptor)
                self._take(fact)
        except (Closed, msgspec.MsgspecError, ValueError):
            self._lose()

    def _take(self, fact: FromGeneration) -> None:
        match fact:
            case Imported():
                self.tasks = fact.tasks
                self._settle(fact)
            case PreloadRefused():
                self._settle(fact)
            case ImportFailed(failure):
                self._settle(failure)
            case Forked():
                worker = self._workers.get(fact.serial)
                if worker and not worker.process:
                    worker.forked(fact.pid, self._reaper)
            case Reaped():
                for worker in list(self._workers.values()):
                    if worker.process and worker.pid == fact.pid:
                        worker.process.settle(fact.status)
                        self.forget(worker)

    def _settle(self, outcome: Imported | Failure | PreloadRefused | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def _ended(self) -> None:
        if not self.gone:
            read_out(self._channel.fileno(), self._read, lambda: self.gone)
            self._lose()

    def _lose(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._settle(None)
        if not self.retired:  # one that retired, or refused, is ending by itself
            self._loop.call_later(1.0, self.process.kill, signal.SIGKILL)
        self._lost(self)


def _spawn(program: Program, channel: socket.socket) -> int:
    """Start the generation with the channel, and without a terminal: Ctrl-C there is for the master alone."""
    os.set_inheritable(channel.fileno(), True)  # noqa: FBT003  the standard library has it by position
    return os.posix_spawn(
        program.command[0],
        [*program.command, str(channel.fileno())],
        {**os.environ, **program.environ, "PWD": str(program.folder)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
        setpgroup=0,
        setsigmask=[],
    )
