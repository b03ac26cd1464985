"""How many threads an app needs, decided from what they do with their time. No clock, no thread, no lock here.

Theory. A thread that computes for C seconds and waits for W per request keeps a core busy for C / (C + W) of the time,
so N = cores x utilisation x (1 + W / C) threads keep `cores` busy (Goetz and others, "Java Concurrency in Practice",
section 8.2; the same follows from Little's law, L = lambda x R). Under the GIL `cores` is 1 for Python code: 1 thread
for a view that only computes, 21 for one that waits 20 times as long as it computes. More threads than that only hand
the GIL round: measured with Flask's hello world, 1 / 2 / 4 / 16 / 64 threads answer 12.8 / 9.5 / 9.2 / 9.0 / 8.1
thousand requests/s.

C and W change with route, load and neighbours, so N is not computed but approached, with `saturation` (the share of
time in which some thread computed, or would have if the machine had had a core free) as the signal. While it is low
and requests queue, threads wait: more are needed, in proportion. While it is high, more would not help and fewer
might do. This is the integral controller that .NET's thread pool approaches by "hill climbing" on throughput (Hellerstein
and others, "Optimizing Concurrency Levels in the .NET ThreadPool", 2008), with a signal that needs no experiment to read.

Two things it would get wrong have a rule of their own: one long request must not hold up the short ones behind it, even
if it computes all the time (a straggler's place is filled, as the Go scheduler refills that of a thread stuck in a system
call); and native code that releases the GIL may use more than one core, where the worker has them (a probe finds out).
"""

from __future__ import annotations

import math
from typing import NamedTuple

TICK = 0.01
"""Seconds between looks: a request that comes while every thread waits is taken within 2 of them."""

OLD = 0.005
"""Seconds after which a queued request counts as backlog: the target of Facebook's CoDel (folly/executors/Codel.cpp)."""

LOW, TARGET, HIGH = 0.88, 0.95, 0.95
"""Saturation below which backlog means that threads wait; what growth aims at; above which fewer might do."""

SPARE_BELOW = 0.5
"""Saturation below which a thread is kept spare, so that the next request need not wait for a look."""

SMOOTH = 0.06
"""Time constant of the moving average of saturation, in seconds: waiting threads wake in crowds."""

SETTLE = 0.15
"""Seconds to watch a smaller pool before making it smaller still."""

SHRINK = 0.7
"""What is left of the pool after one step down."""

HOLD, LONGEST_HOLD = 2.0, 60.0
"""Seconds to keep away from a size that proved too small; doubled each time it proves so again."""

STUCK, SURELY_STUCK = 0.05, 1.0
"""Bounds of the age, 4 times the usual, at which a running request counts as a straggler; seconds."""

WINDOW = 5.0
"""Seconds for which idle threads are kept: starting one takes 0.1 ms, keeping one about 30 KiB."""

QUIET = 0.2
"""Seconds without work after which nobody needs to look."""


class Sample(NamedTuple):
    """What one look at the pool saw; durations in seconds.

    Args:
        now: the time.
        elapsed: since the look before.
        cpu: CPU time that Python threads used meanwhile.
        clear: probability that none of them stood in the kernel's run queue, as they would with a core to themselves.
        threads: how many there are.
        running: age of each running request.
        finished: requests that ended meanwhile.
        oldest: age of the oldest queued request, 0.0 for none.
    """

    now: float
    elapsed: float
    cpu: float
    clear: float
    threads: int
    running: tuple[float, ...]
    finished: int
    oldest: float


class Policy:
    """Decides the size of one pool.

    Args:
        maximum: most threads.
        cores: cores that native code without the GIL may use.
    """

    def __init__(self, maximum: int, cores: float = 1.0) -> None:
        self._maximum = maximum
        self._cores = max(1.0, cores)
        self._size = 1
        self._smooth = 0.0
        self._changed = -math.inf
        self._shrunk = -math.inf
        self._hold = HOLD
        self._held_until = -math.inf
        self._usual = 0.0
        self._peak = self._last_peak = 0
        self._rotated = -math.inf
        self._worked = -math.inf

    def step(self, sample: Sample) -> int:
        """Return how many threads the pool should have after this look."""
        now = sample.now
        running = len(sample.running)
        if running or sample.oldest:
            self._worked = now
        self._note(sample)
        saturation = self._saturation(sample)
        wanted = self._size
        if sample.oldest > OLD and max(saturation, self._smooth) < LOW:
            wanted = self._grown(max(saturation, self._smooth))
        elif running >= self._size and self._smooth < SPARE_BELOW:
            wanted = self._size + 1
        elif self._smooth >= HIGH and now - self._changed >= SETTLE and now >= self._held_until:
            wanted = int(self._size * SHRINK)
        wanted = self._without_idle(wanted, now)
        self._resize(max(1, min(wanted, self._maximum)), now)
        return min(self._size + self._stragglers(sample), self._maximum)

    def is_quiet(self, now: float) -> bool:
        """Whether nobody needs to look before the next request comes."""
        return now - self._worked > QUIET

    def _saturation(self, sample: Sample) -> float:
        elapsed = max(sample.elapsed, 1e-6)
        busy = min(1.0, sample.cpu / elapsed)
        saturation = 1.0 - (1.0 - busy) * sample.clear
        self._smooth += (saturation - self._smooth) * (1.0 - math.exp(-elapsed / SMOOTH))
        return saturation

    def _grown(self, saturation: float) -> int:
        """Return the size that would reach the target if every thread behaved as those there are; at most twice as many."""
        return max(self._size + 1, math.ceil(self._size * min(2.0, TARGET / max(saturation, 0.01))))

    def _note(self, sample: Sample) -> None:
        """Follow the usual duration of a request: the time spent in all of them, over how many ended (Little's law)."""
        running = len(sample.running)
        if sample.finished:
            mean = max(running, 1) * sample.elapsed / sample.finished
            self._usual += (mean - self._usual) * min(0.5, sample.finished / 100)
        self._peak = max(self._peak, running)

    def _without_idle(self, wanted: int, now: float) -> int:
        if now - self._rotated < WINDOW:
            return wanted
        needed = max(self._peak, self._last_peak) + 1
        self._last_peak, self._peak, self._rotated = self._peak, 0, now
        return min(wanted, needed)

    def _stragglers(self, sample: Sample) -> int:
        """Return how many running requests have been at it so long that those behind them need a thread of their own."""
        if sample.oldest <= OLD:
            return 0
        age = min(max(STUCK, 4 * self._usual), SURELY_STUCK)
        return sum(1 for running in sample.running if running > age)

    def _resize(self, wanted: int, now: float) -> None:
        if wanted == self._size:
            return
        if wanted > self._size and now - self._shrunk < 2 * SETTLE:
            self._held_until, self._hold = now + self._hold, min(2 * self._hold, LONGEST_HOLD)
        elif wanted < self._size:
            self._shrunk = now
        self._size, self._changed = wanted, now
