"""A made-up worker for the pool's policy: clients, threads, a GIL and a clock, all of them numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from hotplate.gateway.pool_policy import TICK, Policy, Sample

_STEP = 0.001
_SWITCH = 0.005


class Work(NamedTuple):
    """What one request does: computes with the GIL, computes without it, then waits; seconds."""

    computes: float = 0.0
    waits: float = 0.0
    native: float = 0.0


class _Busy:
    def __init__(self, work: Work, since: float) -> None:
        self.computes, self.waits, self.native = work.computes, work.waits, work.native
        self.since = since


class Simulation:
    """A closed loop of clients and the pool that serves them, in steps of a millisecond.

    Args:
        policy: what is tried.
        clients: how many ask again as soon as they are answered.
        work: gives each request's work, by its number.
        cores: of the machine.
        share: of the GIL holder's time in which the machine lends it a core; the rest it stands in the run queue.
    """

    def __init__(
        self, policy: Policy, clients: int, work: Callable[[int], Work], cores: float = 1.0, share: float = 1.0
    ) -> None:
        self.policy, self.work, self.cores, self.share = policy, work, cores, share
        self.now = 100.0
        self.size = 1
        self.sizes: list[tuple[float, int]] = []
        self.finished = 0
        self.queue: deque[tuple[float, Work]] = deque()
        self.busy: list[_Busy] = []
        self._asked = 0
        self._holder: _Busy | None = None
        self._turns: list[_Busy] = []
        self._held = 0.0
        self._cpu = self._stood = 0.0
        self._ended = 0
        self.clients = 0
        self.ask(clients)

    def ask(self, clients: int) -> None:
        """Let more clients come, for good."""
        self.clients += clients
        for _ in range(clients):
            self._next_request()

    def leave(self) -> None:
        """Let all clients go once they are answered."""
        self.clients = 0
        self.queue.clear()

    def run(self, seconds: float) -> float:
        """Go on for `seconds`; return the requests answered per second."""
        before, until = self.finished, self.now + seconds
        while self.now < until:
            looked = self.now
            while self.now < looked + self.policy.pause - _STEP / 2:
                self._step()
            self._look(self.now - looked)
        return (self.finished - before) / seconds

    def run_until(self, reached: Callable[[], bool], at_most: float) -> float:
        """Go on until something is so; return how long that took, in seconds, or fail."""
        began = self.now
        while not reached():
            self.run(TICK)
            assert self.now - began <= at_most, f"not within {at_most} s; sizes: {self.sizes[-50:]}"
        return self.now - began

    def _next_request(self) -> None:
        self.queue.append((self.now, self.work(self._asked)))
        self._asked += 1

    def _step(self) -> None:
        while self.queue and len(self.busy) < self.size:
            self.busy.append(_Busy(self.queue.popleft()[1], self.now))
        self.now += _STEP
        self._compute()
        for thread in tuple(self.busy):
            if thread.computes <= 1e-9 and thread.native <= 1e-9:
                thread.waits -= _STEP
                if thread.waits < _STEP / 2:
                    self._answer(thread)

    def _compute(self) -> None:
        native = [thread for thread in self.busy if thread.computes <= 1e-9 < thread.native]
        for thread in native:
            lent = _STEP * min(1.0, self.cores / len(native))
            thread.native -= lent
            self._cpu += lent
        # The GIL goes round: to whoever asked first, until it is done or has held it for the switch interval.
        asking = [thread for thread in self.busy if thread.computes > 1e-9]
        left = _STEP * self.share
        if asking:
            self._stood += _STEP - left
        while asking and left > 1e-9:
            if self._holder not in asking or self._held >= _SWITCH:
                self._turns = [thread for thread in self._turns if thread in asking and thread is not self._holder]
                self._turns += [thread for thread in asking if thread not in self._turns]
                self._holder, self._held = self._turns[0], 0.0
            lent = min(self._holder.computes, left, _SWITCH - self._held)
            self._holder.computes -= lent
            self._held += lent
            self._cpu += lent
            left -= lent
            asking = [thread for thread in asking if thread.computes > 1e-9]

    def _answer(self, thread: _Busy) -> None:
        self.busy.remove(thread)
        self.finished += 1
        self._ended += 1
        if self.clients > len(self.busy) + len(self.queue):
            self._next_request()

    def _look(self, elapsed: float) -> None:
        self.size = self.policy.step(
            Sample(
                now=self.now,
                elapsed=elapsed,
                cpu=self._cpu,
                stood=self._stood,
                clear=1.0,
                running=tuple(self.now - thread.since for thread in self.busy),
                finished=self._ended,
                oldest=self.now - self.queue[0][0] if self.queue else 0.0,
            )
        )
        self.sizes.append((self.now, self.size))
        self._cpu = self._stood = 0.0
        self._ended = 0
