"""How many threads an app needs, decided from what they do with their time. No clock, no thread, no lock here.

Theory. A thread that computes for C seconds and waits for W per request keeps a core busy for C / (C + W) of the time,
so N = cores x utilisation x (1 + W / C) threads keep `cores` busy (Goetz and others, "Java Concurrency in Practice",
section 8.2; it follows from Little's law, L = lambda x R). Under the GIL `cores` is 1 for Python code: 1 thread for a
view that only computes, 21 for one that waits 20 times as long as it computes. Threads beyond that only hand the GIL
round: measured with Flask's hello world, 1 / 2 / 4 / 16 / 64 threads answer 12.8 / 9.5 / 9.2 / 9.0 / 8.1 thousand
requests/s.

C and W change with route, load and neighbours, so N is not computed but approached. The signal is saturation: the share
of time in which some thread computed, or would have if the machine had had a core for it. While requests queue and
saturation is low, threads wait, and more are needed, in proportion. While it is high, more would not help and fewer
might do, so a smaller pool is tried. .NET's thread pool climbs towards the same point by varying N and watching
throughput (Hellerstein and others, "Optimizing Concurrency Levels in the .NET ThreadPool", 2008); saturation tells
which way to go without the experiment.

Measured (one worker, 2 cores shared with wrk, 64 or 250 connections, 4 s with the growth in them): 0.94 to 1.04 of the
best of 1, 16, 64 and 256 fixed threads for hello world, 1 ms of computing, 20 ms of waiting, 1 in 10 waiting 50 ms, and
1 ms of computing with 10 ms of waiting. The wrong one costs up to 40 % where views compute, 98 % where they wait.

Two things that would get wrong have a rule of their own. One long request must not hold up the short ones behind it,
even if it computes all the time: a straggler's place is filled, as Go's scheduler replaces a thread stuck in a system
call. And native code that releases the GIL may use more than one core where the worker has them: now and then one more
thread is tried, and a core counts as usable once it was used.
"""

from __future__ import annotations

import math
from typing import NamedTuple

TICK, STEADY_TICK = 0.01, 0.04
"""Seconds between looks, and between those at a pool that is saturated and settled: a request that comes while every
thread waits is taken within two. A look costs 0.2 ms and two hand-overs of the GIL, so one every 10 ms for a view that
computes all the time would take 1 to 2 % of it."""

THREADS_PER_LOOK = 32
"""Threads that one look per tick is for: with more, looks are rarer in proportion, for each reads all their clocks."""

OLD = 0.005
"""Seconds after which a queued request counts as backlog: the target of Facebook's CoDel (folly, Codel.cpp)."""

WAITING = 0.5
"""Saturation below which the pool may double at every look, and keeps a thread spare for the next request."""

LOW, TARGET, HIGH = 0.88, 0.95, 0.95
"""Saturation below which backlog means that threads wait; what growth aims at; above which fewer might do."""

FAST, SLOW = 0.06, 0.15
"""Time constants of the moving averages of saturation, in seconds: waiting threads wake in crowds."""

STEP_UP, STEP_DOWN = 0.1, 0.2
"""Seconds to watch a new size before growing in proportion, and before trying a smaller one."""

SHRINK = 0.5
"""What is left of the pool after one step down."""

HOLD, LONGEST_HOLD = 2.0, 30.0
"""Seconds during which a size that proved too small, or a thread that proved useless, is not tried again; doubled each
time it proves so once more."""

STUCK, SURELY_STUCK, UNUSUAL = 0.05, 1.0, 4.0
"""A running request is a straggler at 4 times the usual age, within these bounds in seconds; where requests share the
GIL, at as many times that age as share it."""

MOST_STUCK = 8
"""Stragglers whose places are filled while the GIL is saturated: beyond that, sharing it only slows them all down."""

WINDOW = 5.0
"""Seconds for which idle threads are kept: starting one takes 0.1 ms, keeping one some 30 KiB."""

QUIET = 0.2
"""Seconds without work after which nobody needs to look."""


class Sample(NamedTuple):
    """What one look at the pool saw; durations in seconds.

    Args:
        now: the time.
        elapsed: since the look before.
        cpu: CPU time that Python threads used meanwhile.
        stood: time that those of them stood in the kernel's run queue that did so longest.
        clear: probability that none of the others did.
        running: age of each running request.
        finished: requests that ended meanwhile.
        oldest: age of the oldest queued request, 0.0 for none.
    """

    now: float
    elapsed: float
    cpu: float
    stood: float
    clear: float
    running: tuple[float, ...]
    finished: int
    oldest: float


class Policy:
    """Decides the size of one pool.

    Args:
        maximum: most threads.
        cores: cores this worker may use; beyond 1 only native code without the GIL can.
    """

    def __init__(self, maximum: int, cores: float = 1.0) -> None:
        self._maximum = maximum
        self._cores = max(1.0, cores)
        self._size = 1
        self._saturation = self._fast = self._slow = 0.0
        self._computing = 0.0
        self._changed = -math.inf
        self._worked = -math.inf
        self._is_new = True
        self._spent = self._usual = 0.0
        self._sharing = 1.0
        self._floor = _Avoided()
        self._shrunk, self._shrunk_from = -math.inf, 1
        self._useless = _Avoided()
        self._probed = 0.0
        self._peaks = (0, 0)
        self._window_began = -math.inf

    def step(self, sample: Sample) -> int:
        """Return how many threads the pool should have after this look."""
        now = sample.now
        self._observe(sample)
        if sample.running or sample.oldest:
            self._worked = now
        wanted = self._without_idle(self._approached(sample), sample)
        self._settle(max(1, min(wanted, self._maximum)), now)
        return min(self._size + self._stragglers(sample), self._maximum)

    def rouse(self, now: float) -> None:
        """There is work again, and what was seen before is no guide to it."""
        self._worked = self._changed = now
        self._is_new = True

    def is_quiet(self, now: float) -> bool:
        """Whether nobody needs to look before the next request comes."""
        return now - self._worked > QUIET

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        steady = self._slow >= HIGH and self._fast >= LOW and self._worked - self._changed > STEP_DOWN
        return STEADY_TICK if steady else min(STEADY_TICK, TICK * max(1.0, self._size / THREADS_PER_LOOK))

    def _observe(self, sample: Sample) -> None:
        elapsed = max(sample.elapsed, 1e-6)
        computing = sample.cpu / elapsed
        self._computing += (computing - self._computing) * -math.expm1(-elapsed / FAST)
        usable = min(max(1.0, self._computing), self._cores)
        self._saturation = 1.0 - max(0.0, 1.0 - computing / usable - sample.stood / elapsed) * sample.clear
        if self._is_new:
            self._is_new = False
            self._fast = self._slow = self._saturation
        self._fast += (self._saturation - self._fast) * -math.expm1(-elapsed / FAST)
        self._slow += (self._saturation - self._slow) * -math.expm1(-elapsed / SLOW)
        self._sharing = 1.0 + max(0, len(sample.running) - 1) * self._fast
        # Little's law, the time spent in all requests over how many ended, as if they had not shared the GIL.
        self._spent += len(sample.running) / self._sharing * elapsed
        if sample.finished:
            mean, self._spent = self._spent / sample.finished, 0.0
            self._usual += (mean - self._usual) * (min(0.5, 0.05 + sample.finished / 100) if self._usual else 1.0)

    def _approached(self, sample: Sample) -> int:
        """Return the next size on the way to the one that just saturates."""
        size, backlog, settled = self._size, sample.oldest > OLD, sample.now - self._changed
        if backlog and max(self._saturation, self._fast) < WAITING:
            return 2 * size
        if backlog and max(self._fast, self._slow) < LOW:
            return max(size + 1, math.ceil(size * TARGET / self._slow)) if settled >= STEP_UP else size
        if len(sample.running) >= size and max(self._saturation, self._fast) < WAITING:
            return size + 1
        if self._slow < HIGH or settled < STEP_DOWN:
            return size
        if self._cores > 1.0 and backlog and (wanted := self._probe(sample.now)) is not None:
            return wanted
        return max(int(size * SHRINK), self._floor.size_at(sample.now))

    def _probe(self, now: float) -> int | None:
        """Return one thread more, to see whether it finds a core of its own, or one less when it did not."""
        if self._probed:
            gained, self._probed = self._computing > 1.15 * self._probed, 0.0
            if not gained:
                self._useless.avoid(self._size, now)
                return self._size - 1
        if self._computing < self._cores - 0.5 and not self._useless.size_at(now):
            self._probed = self._computing
            return self._size + 1
        # Fewer threads could not use the cores that these do.
        return self._size if self._computing > 1.15 else None

    def _without_idle(self, wanted: int, sample: Sample) -> int:
        """Return no more than were at work at once lately, and one."""
        before, peak = self._peaks
        self._peaks = before, max(peak, len(sample.running))
        if sample.now - self._window_began < WINDOW:
            return wanted
        self._peaks, self._window_began = (peak, 0), sample.now
        return min(wanted, max(before, peak) + 1)

    def _settle(self, wanted: int, now: float) -> None:
        if wanted == self._size:
            return
        if wanted < self._size:
            self._shrunk, self._shrunk_from = now, self._size
        elif now - self._shrunk < 2 * STEP_DOWN:
            # Back at once to what was enough.
            wanted = max(wanted, self._shrunk_from)
            self._floor.avoid(wanted, now)
        self._size, self._changed, self._slow = wanted, now, self._fast

    def _stragglers(self, sample: Sample) -> int:
        """Return how many requests have been running so long that those behind them need threads of their own."""
        if sample.oldest <= OLD:
            return 0
        age = min(max(STUCK, UNUSUAL * self._usual), SURELY_STUCK) * self._sharing
        stragglers = sum(1 for running in sample.running if running > age)
        return stragglers if self._fast < LOW else min(stragglers, MOST_STUCK)


class _Avoided:
    """A size not to be passed for a while, and for twice as long each time it is tried in vain."""

    def __init__(self) -> None:
        self._size = 0
        self._until = -math.inf
        self._hold = HOLD

    def avoid(self, size: int, now: float) -> None:
        """Do not pass `size`."""
        if now - self._until > self._hold:
            self._hold = HOLD  # that was long ago
        self._size, self._until = size, now + self._hold
        self._hold = min(2 * self._hold, LONGEST_HOLD)

    def size_at(self, now: float) -> int:
        """Return the size that holds now, 0 for none."""
        return self._size if now < self._until else 0
