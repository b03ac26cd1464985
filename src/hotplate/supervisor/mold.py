"""The generation's life after the import: fork a worker when told to, and say who has ended.

Single-threaded and without an event loop, so that every fork is of a process at rest.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType
from typing import NamedTuple, NoReturn

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import inherit
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.messages import (
    BootFailed,
    Configure,
    Failure,
    Fork,
    Forked,
    FromGeneration,
    Reaped,
    Retire,
    ToGeneration,
)
from hotplate.supervisor.words import who

Orders = list[tuple[ToGeneration, list[int]]]


class Birth(NamedTuple):
    """What a worker is born with.

    Args:
        slot: place among the workers.
        serial: number of this worker, never used twice by one master.
        began: when it was forked, by the monotonic clock.
        channel: its line to the master.
        listeners: its slot's listening sockets.
        order: what it was forked for.
    """

    slot: int
    serial: int
    began: float
    channel: socket.socket
    listeners: tuple[socket.socket, ...]
    order: Fork = Fork(0, 0, 0)


class Mold:
    """Forks workers until it is retired or the master is gone, and ends when the last of them has.

    Args:
        channel: the line to the master.
        work: is a worker, in the forked child; does not return.
    """

    def __init__(self, channel: Channel[FromGeneration, ToGeneration], work: Callable[[Birth], NoReturn]) -> None:
        self._channel = channel
        self._work = work
        self._workers: set[int] = set()
        self._retired = False
        self._rings, self._bell = socket.socketpair()  # SIGCHLD rings it

    def run(self, orders: Orders) -> None:
        """Serve the master until there is nothing left to do, beginning with the orders that have come already."""
        self._bell.settimeout(0)
        self._rings.settimeout(0)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        poll.register(self._rings.fileno(), select.POLLIN)
        self._obey(orders)
        while self._workers or not self._retired:
            for descriptor, _events in poll.poll():
                if descriptor == self._rings.fileno():
                    self._reap()
                    continue
                try:
                    self._obey(self._channel.feed())
                except Closed:  # its workers find that out, too, and drain by themselves
                    poll.unregister(descriptor)
                    self._retired = True

    def _obey(self, orders: Iterable[tuple[ToGeneration, list[int]]]) -> None:
        for order, descriptors in orders:
            match order:
                case Fork():
                    self._fork(order, descriptors)
                case Retire():
                    self._retired = True
                case Configure():
                    pass  # said once, before the import

    def _fork(self, order: Fork, descriptors: Sequence[int]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        birth = Birth(order.slot, order.serial, time.monotonic(), sockets[-1], tuple(sockets[: order.listeners]), order)
        inherit.flush()  # or the child would print it a second time
        try:
            pid = self._fork_process()
        except OSError as problem:
            _report_stillborn(birth, problem)
        else:
            if pid == 0:
                self._be_worker(birth)
            self._workers.add(pid)
            self._say(Forked(order.slot, order.serial, pid))
        for sock in sockets:
            sock.close()

    def _fork_process(self) -> int:
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads; the user was told which when the app was imported.
            warnings.simplefilter("ignore", DeprecationWarning)
            return os.fork()

    def _be_worker(self, birth: Birth) -> None:
        try:
            self._channel.close()
            signal.set_wakeup_fd(-1)
            self._rings.close()
            self._bell.close()
            self._work(birth)
        except BaseException:  # noqa: BLE001  nothing may climb out of the child into the generation's loop
            traceback.print_exc()
        finally:
            inherit.flush()
            os._exit(int(ExitCode.FAILED))

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            while self._rings.recv(1024):
                pass
        for pid in list(self._workers):  # by name: processes that the app started are the app's to wait for
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._workers.discard(pid)
                self._say(Reaped(pid, os.waitstatus_to_exitcode(status)))

    def _say(self, fact: FromGeneration) -> None:
        with suppress(Closed):  # a dead master needs no news
            self._channel.send(fact)


def _report_stillborn(birth: Birth, problem: OSError) -> None:
    error = HotplateError(
        f"start {who(birth.order.role, birth.slot)}",
        f"the system does not give it a process ({problem.strerror})",
        "Look at the limits of processes and memory (ulimit -u, the cgroup's pids.max and memory.max).",
        code=ExitCode.WORKER_BOOT_FAILED,
    )
    line = Channel[BootFailed, None](birth.channel, None)
    with suppress(Closed):
        line.send(BootFailed(Failure.of(error)))


def _wake(_signal: int, _frame: FrameType | None) -> None:
    """Have Python ring the bell; a signal without a handler does not."""
