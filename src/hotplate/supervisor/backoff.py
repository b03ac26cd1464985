"""How long to wait before a dead worker of a slot is replaced: decided from figures, without a clock.

A single death is replaced at once. What dies again and again without having answered anything is a crash loop: each
further death doubles the wait, as systemd's RestartSteps and Kubernetes' CrashLoopBackOff (10 s doubling to 5 min)
do for whole services; ours begins lower because a fork is a matter of milliseconds. A worker that answered requests
is worth having back at once, since waiting would only make the site smaller.
"""

from __future__ import annotations

FIRST = 0.1  # seconds; the second death in a row
CEILING = 30.0  # seconds; a person who repairs the cause does not want to wait longer
STABLE = 60.0  # seconds of life after which earlier deaths are forgotten
FORGIVEN_EVERY = 5.0  # seconds of life that make up for one earlier death
_STEPS = 16  # 0.1 s doubled 16 times is far above the ceiling; keeps the power small


class Backoff:
    """The deaths of one slot.

    Example:
        >>> backoff = Backoff()
        >>> [backoff.died(lived=0.0, served=False) for _ in range(5)]
        [0.0, 0.1, 0.2, 0.4, 0.8]
        >>> backoff.died(lived=90.0, served=True)
        0.0
    """

    def __init__(self) -> None:
        self.deaths = 0

    def died(self, lived: float, *, served: bool) -> float:
        """Count a death and return the seconds to wait before the replacement is started.

        Args:
            lived: seconds from ready to death; 0 for a worker that never got ready.
            served: whether it had answered requests.
        """
        forgiven = self.deaths if lived >= STABLE else int(lived / FORGIVEN_EVERY) + served
        self.deaths = max(0, self.deaths - forgiven) + 1
        if self.deaths == 1:
            return 0.0
        return min(CEILING, FIRST * 2.0 ** min(self.deaths - 2, _STEPS))
