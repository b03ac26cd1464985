"""The master's end of a worker: what it knows of it, and how it talks to it.

Nothing that a worker does may harm the master: what makes no sense, or comes at the wrong time, gets the worker killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Protocol

import msgspec

from hotplate.gateway.traffic import Traffic
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.messages import (
    Beat,
    BootFailed,
    Drain,
    Drained,
    Failure,
    Fork,
    FromWorker,
    Parked,
    Ready,
    ToWorker,
)
from hotplate.supervisor.process import Process, Reaper, read_out
from hotplate.supervisor.states import OutOfOrderError, State, follow
from hotplate.supervisor.tally import Tally

if TYPE_CHECKING:
    from hotplate.supervisor.generationlink import GenerationLink

_QUIET = 1.0  # seconds; four beats that did not come
OVERTIME = 3.0  # seconds beyond its grace that a draining worker gets to end by itself


class Listens(Protocol):
    """Who is told about workers (the fleet)."""

    def heard(self, worker: WorkerLink, fact: FromWorker) -> None:
        """Take a fact, after the link has noted what it means for itself."""

    def overran(self, worker: WorkerLink) -> None:
        """Take note that a worker had to be killed, since it did not end in time."""

    def lost(self, worker: WorkerLink) -> None:
        """Take note that a worker is not to be counted on any more; it is so told once."""

    def misbehaved(self, worker: WorkerLink, what: str) -> None:
        """Take note that a worker made no sense and is being killed."""


class WorkerLink:
    """One worker.

    Args:
        order: what it is to be: its slot, its role, and its number, which is never used twice.
        generation: what it is forked from.
        sock: our end of its channel.
        listener: is told what it says.
    """

    def __init__(self, order: Fork, generation: GenerationLink, sock: socket.socket, listener: Listens) -> None:
        self._loop = asyncio.get_running_loop()
        self.order = order
        self.slot = order.slot
        self.serial = order.serial
        self.role = order.role
        self.generation = generation
        self.state = State.BOOTING
        self.process: Process | None = None
        self.booted: asyncio.Future[Ready | Failure | None] = self._loop.create_future()
        self.parked: asyncio.Future[None] = self._loop.create_future()  # accepts no more, or is gone
        self.born = self.ready_since = self.last_heard = self._loop.time()
        self.traffic = Traffic()
        self.answered = 0  # requests between the last two beats
        self.private = 0
        self.tally = Tally()  # of a process that runs tasks
        self.broker_away = False  # and that was told
        self.release = ""  # version of its code
        self.leaving = False  # told to, or asked to be replaced: a second replacement would be one too many
        self.dumped_at = 0.0  # when it was told to write its stacks, because it gave no sign of life
        self._listener = listener
        self.condemned = False  # by the master, for what it did
        self._doomed = False
        sock.settimeout(0)
        self._channel: Channel[ToWorker, FromWorker] = Channel(sock, FromWorker)
        self._loop.add_reader(sock.fileno(), self._read)

    @property
    def pid(self) -> int:
        """Its process number; 0 until its generation has told."""
        return self.process.pid if self.process else 0

    @property
    def lived(self) -> float:
        """Seconds since it was ready; 0 if it never was."""
        return self._loop.time() - self.ready_since if self.booted.done() and self._is_ready() else 0.0

    @property
    def has_served(self) -> bool:
        """Whether it has answered a request or done a task."""
        return self.traffic.requests > 0 or self.tally.succeeded > 0

    @property
    def in_progress(self) -> int:
        """Requests that it is answering, or tasks that it runs."""
        return self.traffic.in_flight + len(self.tally.running)

    def is_warm(self) -> bool:
        """Say whether it serves and is to go on."""
        return self.state is State.READY

    def is_prompt(self) -> bool:
        """Say whether it beats as it should; one that does not is better spared new connections."""
        return self._loop.time() - self.last_heard < _QUIET

    def forked(self, pid: int, reaper: Reaper) -> None:
        """Take note of its process."""
        self.process = Process(pid, reaper, self._ended)
        if self._doomed:
            self.kill()

    def tell(self, order: ToWorker) -> None:
        """Give an order; a worker that cannot hear it is lost, which is found out elsewhere."""
        try:
            self._channel.send(order)
        except Closed:
            self._lose()

    def drain(self, grace: float) -> None:
        """Have it finish what it has, and see to it that it is gone soon after `grace` seconds."""
        if self.state is State.READY:
            self.state = follow(self.state, State.DRAINING)
            self.leaving = True
            self._loop.call_later(grace + OVERTIME, self._end_overtime)
            self.tell(Drain(grace))
        elif self.state is State.BOOTING:
            self.kill()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; one that is not forked yet is killed as soon as it is."""
        if self.process:
            self.process.kill(number)
        elif number == signal.SIGKILL:
            self._doomed = True

    def _end_overtime(self) -> None:
        if self.process and not self.process.exited.done():
            self._listener.overran(self)
            self.kill()

    def _is_ready(self) -> bool:
        return isinstance(self.booted.result(), Ready)

    def _read(self) -> None:
        try:
            for fact, descriptors in self._channel.feed():
                for descriptor in descriptors:  # a worker has nothing to hand over
                    os.close(descriptor)
                self._take(fact)
                if self.state is State.GONE:
                    return
        except Closed:
            self._lose()
        except (msgspec.MsgspecError, OutOfOrderError, ValueError) as problem:
            self._listener.misbehaved(self, f"it said something that makes no sense ({problem})")
            self.condemned = True
            self.kill()
            self._lose()

    def _take(self, fact: FromWorker) -> None:
        self.last_heard, self.dumped_at = self._loop.time(), 0.0
        match fact:
            case Ready():
                self.state = follow(self.state, State.READY)
                self.ready_since, self.private, self.release = self.last_heard, fact.private, fact.release
                self.booted.set_result(fact)
            case BootFailed():
                if not self.booted.done():
                    self.booted.set_result(fact.failure)
            case Beat():
                self.answered = max(0, fact.traffic.requests - self.traffic.requests)
                self.traffic = fact.traffic
                self.private = fact.private or self.private
                self.tally = fact.tasks or self.tally
            case Parked() if not self.parked.done():
                self.parked.set_result(None)
            case Drained() if self.state is State.READY:  # by itself: it was told by a signal
                self.state = follow(self.state, State.DRAINING)
        self._listener.heard(self, fact)

    def _ended(self) -> None:
        if self.state is not State.GONE:
            read_out(self._channel.fileno(), self._read, lambda: self.state is State.GONE)
            self._lose()

    def _lose(self) -> None:
        if self.state is State.GONE:
            return
        was_told = self.state is State.DRAINING
        self.state = follow(self.state, State.GONE)
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        if not self.booted.done():
            self.booted.set_result(None)
        if not self.parked.done():
            self.parked.set_result(None)
        if not was_told:  # one that drained is ending by itself, and has its time for that
            self.kill()
        self._listener.lost(self)
