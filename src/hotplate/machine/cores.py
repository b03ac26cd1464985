"""How many cores this process may really use.

`os.cpu_count()` counts the machine's cores and ignores both affinity and quota: a container with half a core on a
machine of 20 would get dozens of workers. A quota is spent by all workers together and then stops them all until the
next period (100 ms), so more workers than quota buy no throughput and cost latency. Hence the smallest of affinity,
quota (at every level of both cgroup versions) and PYTHON_CPU_COUNT, rounded up: half a core is worth a worker.
Sources: sched(7), the kernel's sched-bwc.rst, joblib/loky issue 634 for the ancestors.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from hotplate.machine import cgroups


class Cores(msgspec.Struct, frozen=True):
    """How many cores there are for us, and why.

    Args:
        count: at least 1.
        reason: such as "2 cores: affinity 4, cgroup quota 1.5".
    """

    count: int
    reason: str


def effective_cores(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None, affinity: int | None = None
) -> Cores:
    """Return the cores that this process may use.

    Args:
        root: folder that stands for `/`, so that tests can use trees of their own.
        environ: where PYTHON_CPU_COUNT is looked up; by default the process's environment.
        affinity: cores the scheduler may put us on; by default asked from the kernel.

    Example:
        >>> effective_cores(Path("/nonexistent"), {"PYTHON_CPU_COUNT": "2"}, affinity=4)
        Cores(count=2, reason='2 cores: affinity 4, PYTHON_CPU_COUNT 2')
    """
    allowed = _affinity() if affinity is None else affinity
    bounds: list[tuple[str, float]] = [("affinity", float(allowed))]
    quotas = list(_quotas(root))
    if quotas:
        bounds.append(("cgroup quota", min(quotas)))
    asked = (os.environ if environ is None else environ).get("PYTHON_CPU_COUNT", "")
    if asked.isascii() and asked.isdecimal() and int(asked) > 0:  # CPython's own word for not set is "default"
        bounds.append(("PYTHON_CPU_COUNT", float(asked)))
    count = max(1, math.ceil(min(bound for _, bound in bounds)))
    evidence = ", ".join(f"{name} {_short(bound)}" for name, bound in bounds)
    return Cores(count, f"{count} {'core' if count == 1 else 'cores'}: {evidence}")


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    for group in cgroups.groups("cpu", root):
        quota = _v2(group.folder) if group.is_v2 else _v1(group.folder)
        if quota is not None:
            yield quota


def _v2(folder: Path) -> float | None:
    """Read cpu.max: quota and period in microseconds, "max" for no quota."""
    quota, period = [*cgroups.words(folder / "cpu.max"), "", ""][:2]
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0 or int(quota) == 0:
        return None
    return int(quota) / int(period)


def _v1(folder: Path) -> float | None:
    """Read cpu.cfs_quota_us, -1 for no quota, and its period."""
    quota, period = cgroups.number(folder / "cpu.cfs_quota_us"), cgroups.number(folder / "cpu.cfs_period_us")
    if quota is None or period is None or quota <= 0 or period <= 0:
        return None
    return quota / period


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
