"""How much memory a process has for itself: what it did not inherit, or has written to since."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import psutil

# The kernel walks the page tables to answer: 5 ms for 400 MB, so it is asked a fiftieth of the time at most. Resident
# pages, which it has counted already (6 us), tell at once when a single task took much.
_SHARE: Final = 50
_JUMP: Final = 8  # parts of the limit
_PRIVATE: Final = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:", "SwapPss:")


class Sizes(NamedTuple):
    """How sizes of this process are read, in kB; replaced in tests."""

    private: Callable[[], int]
    resident: Callable[[], int]


class Private:
    """Tells after each task how much private memory the process has, from a sample that is young enough.

    Args:
        limit: bytes above which the process is going to be replaced.
        sizes: how sizes are read.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, sizes: Sizes | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._sizes = sizes or Sizes(private, resident)
        self._clock = clock
        self._jump = limit // 1024 // _JUMP
        self._last = self._resident = 0
        self._next = -1.0

    def kilobytes(self) -> int:
        """Return the size in kB, which is what billiard compares with the limit."""
        now, resident_now = self._clock(), self._sizes.resident()
        if now >= self._next or resident_now - self._resident > self._jump:
            self._last, self._resident = self._sizes.private(), resident_now
            after = self._clock()
            self._next = after + (after - now) * _SHARE
        return self._last


def private() -> int:
    """Return the kB that only this process uses, in memory or swapped out; where the kernel does not tell, all it uses.

    See Documentation/filesystems/proc.rst, smaps_rollup.
    """
    try:
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123  after each task: no objects
            fields = [line.split() for line in file]
    except OSError:
        return resident()
    return sum(int(field[1]) for field in fields if field[0] in _PRIVATE) or resident()


def resident() -> int:
    """Return the kB of this process that are in memory, shared ones included."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  the same
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return int(psutil.Process().memory_info().rss) // 1024


_PAGE: Final = os.sysconf("SC_PAGESIZE") // 1024
