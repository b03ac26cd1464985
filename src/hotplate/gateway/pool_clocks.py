"""How much CPU the Python threads of this process used, and how long they stood in the kernel's run queue."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

_NANOSECONDS = 1e-9
_ADDED_UP = 2
_MOST_SAMPLED = 16
"""Run-queue waits read per tick: 2 microseconds each, and the queue is the same for all threads of a process."""


class Spent(NamedTuple):
    """What some threads did between two looks.

    Args:
        cpu: CPU time of all of them, in seconds.
        stood: run-queue wait of the two that waited longest, in seconds.
        clear: probability that none of the others stood in the run queue, 0.0 to 1.0.
    """

    cpu: float = 0.0
    stood: float = 0.0
    clear: float = 1.0


class Clocks:
    """Reads the clocks of threads that run Python code; lists in `ended` those that are found to exist no more.

    Linux gives every thread a CPU clock that others may read, its id made from the thread's
    (`make_thread_cpuclock`, include/linux/posix-timers_types.h; pthread_getcpuclockid(3) returns the same number but
    must not be asked of a thread that has ended). Field 2 of /proc/<pid>/task/<tid>/schedstat is the time it was
    ready to run and no core took it (Documentation/scheduler/sched-stats.rst): without it a busy machine would look
    like an app that waits. Elsewhere the CPU time of the whole process stands in, which overstates demand by what the
    data plane's own threads use.
    """

    def __init__(self) -> None:
        self.ended: list[int] = []
        self._cpu: dict[int, float] = {}
        self._waits: dict[int, float] = {}
        self._files: dict[int, int] = {}
        self._process = time.process_time()
        self._read: Callable[[Iterable[int], float], Spent] = (
            self._of_threads if _has_thread_clocks() else self._of_process
        )

    def spent(self, threads: Iterable[int], elapsed: float) -> Spent:
        """Return what `threads` (native ids) did in the `elapsed` seconds since the previous call.

        A thread that is new to it counts from now on.
        """
        return self._read(threads, elapsed)

    def close(self) -> None:
        """Let go of the kernel's files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _of_process(self, _threads: Iterable[int], _elapsed: float) -> Spent:
        before, self._process = self._process, time.process_time()
        return Spent(self._process - before)

    def _of_threads(self, threads: Iterable[int], elapsed: float) -> Spent:
        before, now, used = self._cpu, {}, {}
        for thread in threads:
            try:
                now[thread] = clock = time.clock_gettime(_clock_of(thread))
            except OSError:
                self.ended.append(thread)
                continue
            used[thread] = clock - before.get(thread, clock)
        self._cpu = now
        return Spent(sum(used.values()), *self._stood(used, elapsed))

    def _stood(self, used: dict[int, float], elapsed: float) -> tuple[float, float]:
        """Return `Spent.stood` and `Spent.clear`.

        Who holds the GIL and who feeds it wait one after the other, so the two longest waits add up. The rest are taken
        to be independent, as threads that wait for different things are: a crowd that wakes at once waits at once, and
        the sum of its waits would tell of a need for cores that one GIL cannot use.
        """
        known = list(used)
        sampled = known[:: max(1, -(-len(known) // _MOST_SAMPLED))]
        waits, shares = {}, []
        for thread in sampled:
            wait = self._wait_of(thread)
            if wait is not None:
                waits[thread] = wait
                spare = max(elapsed - used[thread], 1e-6)
                shares.append((min(wait - self._waits.get(thread, wait), spare), spare))
        for gone in self._files.keys() - waits.keys():
            os.close(self._files.pop(gone))
        self._waits = waits
        shares.sort(reverse=True)
        clear = math.prod(1.0 - waited / spare for waited, spare in shares[_ADDED_UP:])
        stood = sum(waited for waited, _spare in shares[:_ADDED_UP])
        return stood, clear ** (len(known) / max(1, len(sampled)))

    def _wait_of(self, thread: int) -> float | None:
        try:
            if thread not in self._files:
                self._files[thread] = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._files[thread], 96, 0).split()[1]) * _NANOSECONDS
        except (OSError, ValueError, IndexError):  # it has ended, or the kernel keeps no such statistics
            return None


def _clock_of(native_id: int) -> int:
    return (~native_id << 3) | 6


def _has_thread_clocks() -> bool:
    if sys.platform != "linux":
        return False
    try:
        time.clock_gettime(_clock_of(threading.get_native_id()))
    except OSError:  # a sandbox that emulates Linux
        return False
    return True
