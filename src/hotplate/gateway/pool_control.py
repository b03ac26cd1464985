"""Looks at the pool while it has something to do, and has it grow or shrink as the policy says."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING

from hotplate.gateway.pool_clocks import Clocks, Spent
from hotplate.gateway.pool_policy import WINDOW, Policy, Sample

if TYPE_CHECKING:
    from hotplate.gateway.executor import Pool

_WORK, _STOP = "work", "stop"


class Controller:
    """A thread that ticks while the pool is at work and sleeps while it is not.

    Args:
        pool: what to look at.
        policy: decides.
    """

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self._pool = pool
        self._policy = policy
        self._nudges: SimpleQueue[str] = SimpleQueue()
        self._started = False
        self._lock = threading.Lock()

    def wake(self) -> None:
        """There is something to do."""
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="pool-control", daemon=True).start()
        self._nudges.put(_WORK)

    def stop(self) -> None:
        """End the thread."""
        self._nudges.put(_STOP)

    def _run(self) -> None:
        clocks = Clocks()
        try:
            while self._watch(clocks):
                pass
        finally:
            clocks.close()

    def _watch(self, clocks: Clocks) -> bool:
        """Look until the pool goes quiet, then sleep until it is not; return whether to go on."""
        pool, policy = self._pool, self._policy
        last, finished = perf_counter(), pool.finished
        clocks.spent(self._watched(), 0.0)
        policy.rouse(last)
        while not policy.is_quiet(last) or not pool.sleep():
            try:
                if self._nudges.get(timeout=policy.pause) is _STOP:
                    return False
                continue
            except Empty:
                pass
            before, last = last, perf_counter()
            done_before, finished = finished, pool.finished
            self._adapt(clocks.spent(self._watched(), last - before), last, last - before, finished - done_before)
            while clocks.ended:
                pool.forget_caller(clocks.ended.pop())
        return self._sleep()

    def _adapt(self, spent: Spent, now: float, elapsed: float, finished: int) -> None:
        members = self._pool.members
        since = [member.since for member in members]
        wanted = self._policy.step(
            Sample(
                now=now,
                elapsed=elapsed,
                cpu=spent.cpu,
                stood=spent.stood,
                clear=spent.clear,
                running=tuple(now - began for began in since if began),
                finished=finished,
                oldest=self._pool.oldest(),
            )
        )
        if wanted != len(members):
            self._pool.resize(wanted)

    def _sleep(self) -> bool:
        """Wait for work; return whether to go on. Idle threads end meanwhile."""
        while True:
            try:
                return self._nudges.get(timeout=WINDOW if self._pool.threads > 1 else None) is not _STOP
            except Empty:
                self._adapt(Spent(), perf_counter(), WINDOW, 0)

    def _watched(self) -> list[int]:
        return [*(member.native_id for member in self._pool.members if member.native_id), *self._pool.callers]
