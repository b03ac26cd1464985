"""Single flight: of all that ask for one key at once, in all threads, loops and processes, one computes.

Within a process the first to `join` leads and the others wait for what it says with `end`. Across processes leaders
compete for the store's lease: whoever gets it computes, the others look into the store every now and then, until there
is a result, the lease is free (its holder has ended or died), or they have waited long enough. No I/O happens here but
in `Lead.step`, and nobody sleeps: `hotplate.cache.waiting` does that, for threads and for loops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from hotplate.cache.stores.base import Look, Store

Told = Callable[[object], None]
Usable = Callable[[Look], bool]

LEASE = 60.0  # seconds; stores give away what the dead held, so this is for those that hang
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05


class Nothing(Enum):
    """Why a waiter gets no outcome.

    Args:
        ENDED: the leader ended without one, by being cancelled, say; whoever still wants one may join again.
        TIMED_OUT: it took too long; compute on your own.
    """

    ENDED = 1
    TIMED_OUT = 2


class Do(Enum):
    """What a leader is to do next: compute and `end`, take what was found and `end`, or step again after a pause."""

    COMPUTE = 1
    TAKE = 2
    PAUSE = 3


class Step(NamedTuple):
    """What `Lead.step` says.

    Args:
        do: what to do.
        look: where `do` is TAKE, what another process has put; where it is COMPUTE, without a value, but with the token
            that the result is to be put with: None where the store cannot be reached. Taken after the lease, so nothing
            that was computed before is computed again.
        pause: seconds, where `do` is PAUSE.
    """

    do: Do
    look: Look | None = None
    pause: float = 0.0


class Lead:
    """The one of this process that sees to a key. It must `end`, whatever happens."""

    def __init__(self, flights: Flights, key: bytes) -> None:
        self.key = key
        self._flights = flights
        self._since = flights.clock()
        self._pause = _FIRST_PAUSE
        self._holds = False
        self._told: list[Told] = []
        self._outcome: object = None
        self._is_over = False

    def step(self, usable: Usable, most: float = 5.0) -> Step:
        """Find out what to do; where the store `is_slow` this may wait for the network, so keep it off a loop.

        Args:
            usable: whether what was looked up will do; stale values, say, will not.
            most: seconds to wait for another process, counted from `join`, until we compute beside it.
        """
        flights = self._flights
        if not flights.store.is_shared:
            return self._looked(usable)
        if not self._holds:
            self._holds = flights.store.lease(self.key, LEASE)
        step = self._looked(usable)
        if self._holds or step.do is Do.TAKE or flights.clock() - self._since >= most:
            return step
        if step.look is None or step.look.token is None:  # nobody can put anything that would be found
            return step
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST_PAUSE)
        return Step(Do.PAUSE, pause=pause)

    def _looked(self, usable: Usable) -> Step:
        store = self._flights.store
        look = store.look(self.key)
        if look.value is None:
            return Step(Do.COMPUTE, look)
        return Step(Do.TAKE, look) if usable(look) else Step(Do.COMPUTE, Look(None, store.now()))

    def end(self, outcome: object = Nothing.ENDED) -> None:
        """Tell all waiters, here; those of other processes find what was put before. Only the first call counts."""
        flights = self._flights
        with flights.lock:
            if self._is_over:
                return
            self._is_over, self._outcome = True, outcome
            del flights.leads[self.key]
            told, self._told = self._told, []
        if self._holds:
            flights.store.release(self.key)
        for tell in told:
            tell(outcome)


class Wait:
    """A place among those who wait for a leader of this process; to be left by `leave`, whatever happens."""

    def __init__(self, flights: Flights, lead: Lead) -> None:
        self._flights = flights
        self._lead = lead
        self._told: Told | None = None
        self._has_left = False

    def add(self, told: Told) -> None:
        """Have `told` hear the outcome once, in the leader's thread, or here and now where it has ended already.

        Args:
            told: must not block or raise; gets what the leader gave to `end`.
        """
        with self._flights.lock:
            if not self._lead._is_over:  # noqa: SLF001  # both are parts of one flight
                self._told = told
                self._lead._told.append(told)  # noqa: SLF001  # the same
                return
        told(self._lead._outcome)  # noqa: SLF001  # the same

    def leave(self) -> None:
        """Give the place back, told or not; `told` may still be called if that is on its way."""
        flights = self._flights
        with flights.lock:
            if self._has_left:
                return
            self._has_left = True
            flights.waiting -= 1
            if self._told in self._lead._told:  # noqa: SLF001  # the same
                self._lead._told.remove(self._told)  # noqa: SLF001  # the same


class Flights:
    """The flights of one process.

    Args:
        store: gives leases and results across processes.
        most_waiting: how many may wait here at once, for all keys together.
        clock: monotonic seconds.

    Attributes:
        waiting: how many wait now.
        leads: those who lead now, by key.

    Example:
        >>> from hotplate.cache.stores.local import LocalStore
        >>> flights = Flights(LocalStore(10_000), most_waiting=1)
        >>> lead, wait, crowded = (flights.join(b"k" * 32) for _ in range(3))
        >>> wait.add(print), crowded
        (None, None)
        >>> lead.end("computed")
        computed
    """

    def __init__(self, store: Store, most_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.most_waiting = most_waiting
        self.clock = clock
        self.lock = threading.Lock()
        self.leads: dict[bytes, Lead] = {}
        self.waiting = 0

    def join(self, key: bytes) -> Lead | Wait | None:
        """Lead or wait; None where too many wait already: compute on your own, and put nothing."""
        with self.lock:
            lead = self.leads.get(key)
            if lead is None:
                self.leads[key] = lead = Lead(self, key)
                return lead
            if self.waiting >= self.most_waiting:
                return None
            self.waiting += 1
            return Wait(self, lead)
