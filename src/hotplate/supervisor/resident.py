"""A worker's own private memory: what it alone holds, not what it shares with the generation."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

_ROLLUP = Path("/proc/self/smaps_rollup")
_PRIVATE = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")
_EVERY = 5.0  # seconds
_EVERY_EAGER = 1.0  # seconds, where a limit is to be kept
# The kernel walks every page for it, holding up whoever wants memory (measured: 5 ms for 500 MB). At most this share.
_SPARING = 500  # one five-hundredth


def private() -> int:
    """Return the bytes that only this process holds; what it has swapped out is not among them."""
    try:
        lines = _ROLLUP.read_text().splitlines()
    except OSError:  # no Linux, or a kernel before 4.14
        return int(psutil.Process().memory_info().rss)
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_PRIVATE))


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
        while True:
            await asyncio.sleep(max(self._every, _SPARING * await asyncio.to_thread(self._sample)))

    def _sample(self) -> float:
        """Measure, and return the CPU seconds it took."""
        began = time.thread_time()
        self._latest = private()
        return time.thread_time() - began
