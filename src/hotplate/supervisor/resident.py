"""A worker's own private memory, now and then: what it alone holds, not what it shares with the generation."""

from __future__ import annotations

import asyncio
import os
import time

from hotplate.machine import private

_EVERY = 5.0  # seconds
_EVERY_EAGER = 1.0  # seconds, where a limit is to be kept
# The kernel walks every page for it, holding up whoever wants memory (measured: 5 ms for 500 MB). At most this share.
_SPARING = 500  # one five-hundredth


class Sampler:
    """Measures the private memory now and then, in a thread.

    Args:
        eager: whether a limit depends on it.
    """

    def __init__(self, *, eager: bool) -> None:
        self._every = _EVERY_EAGER if eager else _EVERY
        self._latest = 0

    def take(self) -> int:
        """Return the newest sample in bytes, once; 0 if there is none since the last call."""
        latest, self._latest = self._latest, 0
        return latest

    async def run(self) -> None:
        """Sample until cancelled."""
        cost = 0.0
        while True:  # not at once: Ready has said it, and the first requests have better uses for the core
            await asyncio.sleep(max(self._every, _SPARING * cost))
            cost = await asyncio.to_thread(self._sample)

    def _sample(self) -> float:
        """Measure, and return the CPU seconds it took."""
        began = time.thread_time()
        self._latest = private(os.getpid())
        return time.thread_time() - began
