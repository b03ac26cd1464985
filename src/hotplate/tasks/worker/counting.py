"""What a task worker has done and is doing: counted in its main process, for the supervisor and `tasks status`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import msgspec
from billiard.einfo import ExceptionWithTraceback
from billiard.pool import EX_RECYCLE
from celery import signals
from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state
from celery.worker.control import inspect_command

_WINDOW: Final = 60  # seconds
_TRIES: Final = 3

Event = Literal["received", "succeeded", "failed", "retried"]


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


class Counter:
    """Counts in the main process. Read by other threads: at worst they see an event a moment too late."""

    def __init__(self) -> None:
        self._totals: dict[Event, int] = {"received": 0, "succeeded": 0, "failed": 0, "retried": 0}
        self._minutes: dict[Event, LastMinute] = {event: LastMinute() for event in self._totals}
        self._pool: Any = None
        self._parked = self._lost = self._recycled = 0
        self._broker: Literal["connected", "waiting"] = "waiting"
        self._problem = ""

    def add(self, event: Event) -> None:
        """Count something that happened to a task."""
        self._totals[event] += 1
        self._minutes[event].add()

    def ended(self, returned: bool, value: Any) -> None:  # noqa: ANN401, FBT001  the shape is billiard's
        """Count what a process of the pool answered.

        Args:
            returned: whether Celery's own code did; if not, `value` says what went wrong.
            value: failed or not, what the task returned or raised, and the seconds it took.
        """
        error = value[1].exception if returned and value[0] else None
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        match error:
            case None:
                self.add("succeeded" if returned else "failed")
            case Retry():
                self.add("retried")
            case Ignore():
                self.add("succeeded")
            case Reject():
                pass
            case _:
                self.add("failed")

    def exited(self, codes: Iterable[int]) -> None:
        """Count processes of the pool that ended."""
        self._recycled += sum(code == EX_RECYCLE for code in codes)

    def lost(self) -> None:
        """Count a process that died while it ran a task."""
        self._lost += 1

    def parked(self) -> int:
        """Count a message that was parked; returns how many there were."""
        self._parked += 1
        return self._parked

    def connected(self) -> None:
        """Note that there is a connection to the broker."""
        self._broker, self._problem = "connected", ""

    def waiting(self, problem: str) -> None:
        """Note that there is none, and why."""
        self._broker, self._problem = "waiting", problem

    def watch(self, pool: Any) -> None:  # noqa: ANN401  the shape is billiard's
        """Tell of the processes and jobs of a pool.

        Args:
            pool: of billiard; None for a pool of threads.
        """
        self._pool = pool

    def counts(self) -> Counts:
        """Return how it stands. Takes no lock."""
        minutes = {event: minute.total() for event, minute in self._minutes.items()}
        return Counts(
            **self._totals,
            parked=self._parked,
            running=_unless_changed(self._running),
            rates=Rates(**minutes),
            broker=self._broker,
            problem=self._problem,
            processes=_unless_changed(self._pids),
            lost=self._lost,
            recycled=self._recycled,
        )

    def _pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._pool._pool if process.pid)  # noqa: SLF001  the only list of them

    def _running(self) -> tuple[Running, ...]:
        now = time.monotonic()
        running = [
            Running(job.correlation_id, request.name, max(0.0, now - job._time_accepted), job._worker_pid)  # noqa: SLF001  billiard keeps no other record
            for job in list(self._pool._cache.values())  # noqa: SLF001  the same
            if job._time_accepted and (request := state.requests.get(job.correlation_id))  # noqa: SLF001  the same
        ]
        return tuple(sorted(running, key=lambda task: -task.seconds))


def _unless_changed(read: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return what is read of something that another thread may change meanwhile, without a lock."""
    for _ in range(_TRIES):
        try:
            return read()
        except (AttributeError, RuntimeError):  # no pool, or none yet; changed while it was iterated
            continue
    return ()


COUNTER: Final = Counter()


def listen() -> None:
    """Count what Celery's signals tell in the main process; what a pool's processes do, the pool tells."""
    heard: tuple[tuple[Any, Event], ...] = (
        (signals.task_received, "received"),
        (signals.task_success, "succeeded"),  # by a pool of threads
        (signals.task_failure, "failed"),  # by a pool of threads; and where a process was lost or out of time
        (signals.task_retry, "retried"),  # by a pool of threads
    )
    for signal, event in heard:
        signal.connect(_adding(event), weak=False, dispatch_uid="hotplate")


def _adding(event: Event) -> Callable[..., None]:
    # Celery tells twice of a task that ran out of time.
    latest: deque[object] = deque(maxlen=100)

    def add(task_id: object = None, **_: object) -> None:
        if event == "failed":
            if task_id in latest:
                return
            latest.append(task_id)
        COUNTER.add(event)

    return add


@inspect_command()
def hotplate_counts(state: object, **_: object) -> dict[str, Any]:  # noqa: ARG001  Celery passes it by this name
    """Say what this worker has done and is doing."""
    counted: dict[str, Any] = msgspec.to_builtins(COUNTER.counts())
    return counted
