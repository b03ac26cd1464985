"""What a task worker has done and is doing: counted in its main process, told to the supervisor and to `tasks status`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

_WINDOW = 60  # seconds


class Running(msgspec.Struct, frozen=True):
    """A task that runs now.

    Args:
        id: the task's id.
        name: the task's name.
        seconds: for how long it has run.
        process: the id of the process that runs it.
    """

    id: str
    name: str
    seconds: float
    process: int = 0


class Rates(msgspec.Struct, frozen=True):
    """How many in the last minute."""

    received: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0


class Counts(msgspec.Struct, frozen=True):
    """The state of a task worker, all its processes together.

    Args:
        received: tasks taken from the broker since the start, those given back and taken again twice.
        succeeded: tasks that returned.
        failed: tasks that failed finally: by an exception without a retry, a time limit, or a lost process.
        retried: times a task asked to be tried again.
        parked: messages laid aside in `hotplate.parked` by this worker, for whichever reason.
        running: what runs now, longest first.
        rates: of the last minute.
        broker: whether there is a connection to the broker.
        problem: why there is none, in the broker's words, without a password.
        processes: ids of the processes that run tasks.
        lost: processes that died while they ran a task.
        recycled: processes replaced because of their memory.
    """

    received: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    parked: int = 0
    running: tuple[Running, ...] = ()
    rates: Rates = Rates()
    broker: Literal["connected", "waiting"] = "waiting"
    problem: str = ""
    processes: tuple[int, ...] = ()
    lost: int = 0
    recycled: int = 0


class LastMinute:
    """Counts events of the last 60 seconds, by the second.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = [0] * _WINDOW
        self._seconds = [-_WINDOW] * _WINDOW

    def add(self) -> None:
        """Count an event of now."""
        second = int(self._clock())
        place = second % _WINDOW
        if self._seconds[place] != second:
            self._seconds[place], self._counts[place] = second, 0
        self._counts[place] += 1

    def total(self) -> int:
        """Return how many there were in the last minute."""
        oldest = int(self._clock()) - _WINDOW
        return sum(count for second, count in zip(self._seconds, self._counts, strict=True) if second > oldest)
