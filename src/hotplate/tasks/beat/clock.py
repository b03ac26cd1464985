"""Clocks that jump: an administrator, a time server after a long silence, or a battery sets the wall clock anew.

Intervals are of time that passes, so their last runs jump along and nothing is sent early or late. Schedules by the
wall clock (crontab, solar) go by the new time: what was jumped over is sent once, and what was just sent is not sent
again after a small step back, as cron(8) has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from celery.schedules import BaseSchedule, schedule

# A step smaller than this is left to the schedules, which are that exact at most.
TOLERANCE = timedelta(seconds=2)
_TRIES = 3
# Between the readings of two clocks; longer, and the process was stopped meanwhile.
_AT_ONCE = 0.2


def steady() -> float:
    """Return seconds that pass evenly, those while the machine sleeps included (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Jumps:
    """Notices when the wall clock is set.

    Args:
        wall: returns the time of day.
        passing: returns seconds that pass evenly.

    Example:
        >>> jumps = Jumps(app.now)
        >>> jumps.since_last()
        datetime.timedelta(0)
    """

    def __init__(self, wall: Callable[[], datetime], passing: Callable[[], float] = steady) -> None:
        self._wall = wall
        self._passing = passing
        self._last = self._both()

    def since_last(self) -> timedelta:
        """Return how far the wall clock was set since this was last asked, zero if it was not."""
        wall, passed = self._both()
        last_wall, last_passed = self._last
        self._last = wall, passed
        jump = wall - last_wall - timedelta(seconds=passed - last_passed)
        return jump if abs(jump) >= TOLERANCE else timedelta()

    def _both(self) -> tuple[datetime, float]:
        tries = 0
        while True:
            before, wall, after = self._passing(), self._wall(), self._passing()
            tries += 1
            if after - before < _AT_ONCE or tries == _TRIES:
                return wall, after


def last_run_after(jump: timedelta, last: datetime, plan: BaseSchedule, now: datetime) -> datetime:
    """Return what counts as an entry's last run after the wall clock was set.

    Args:
        jump: by how much; zero where that is not known, because nobody ran meanwhile.
        last: the last run by the clock as it was.
        plan: the entry's schedule.
        now: by the clock as it is.
    """
    if isinstance(plan, schedule) and not plan.relative:
        return min(last + jump, now)
    if last <= now:
        return last
    following = now + plan.remaining_estimate(last)
    # Half a period ahead at most: it was this time's run, and the next is right. More: the clock was wrong before.
    return last if (last - now) * 2 <= following - last else now
