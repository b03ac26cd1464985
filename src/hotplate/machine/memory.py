"""How much memory this process may use, and how much a process really takes.

Resident size counts shared pages in every process, so forked workers seem to take what they share many times over. PSS
divides shared pages by the number of sharers: summed over processes it is what they take together. Private (clean and
dirty) is what would come back if the process ended. Source: the kernel's Documentation/filesystems/proc.rst.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from hotplate.machine import cgroups
from hotplate.settings.units import show_size_roughly


class Memory(msgspec.Struct, frozen=True):
    """How much memory there is for us, and why.

    Args:
        limit_bytes: in bytes.
        reason: such as "512 MiB: cgroup limit, machine 3.83 GiB".
    """

    limit_bytes: int
    reason: str


def memory_limit(root: Path = Path("/"), total: int | None = None) -> Memory:
    """Return the memory this process may use: the lowest cgroup limit along its path, or the machine's memory.

    Args:
        root: folder that stands for `/`, so that tests can use trees of their own.
        total: the machine's memory in bytes; by default asked from the kernel.

    Example:
        >>> memory_limit(Path("/nonexistent"), total=1024**3)
        Memory(limit_bytes=1073741824, reason='1 GiB: machine')
    """
    machine = psutil.virtual_memory().total if total is None else total
    # "No limit" of version 1 is a number near 2**63, which is more than any machine has.
    limits = [limit for limit in _limits(root) if limit < machine]
    if not limits:
        return Memory(machine, f"{show_size_roughly(machine)}: machine")
    lowest = min(limits)
    return Memory(lowest, f"{show_size_roughly(lowest)}: cgroup limit, machine {show_size_roughly(machine)}")


def pss(pid: int, root: Path = Path("/")) -> int:
    """Return a process's proportional set size in bytes: its own memory and its share of what it shares.

    Where the kernel does not tell (no smaps_rollup, another user's process), it is the resident size.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    sizes = _rollup(pid, root)
    return sizes["Pss"] if "Pss" in sizes else _resident(pid)


def private(pid: int, root: Path = Path("/")) -> int:
    """Return the bytes that only this process uses, in memory or swapped out; else as `pss`.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    sizes = _rollup(pid, root)
    if "Private_Dirty" not in sizes:
        return _resident(pid)
    return sum(sizes.get(name, 0) for name in ("Private_Clean", "Private_Dirty", "Private_Hugetlb", "SwapPss"))


def _limits(root: Path) -> Iterator[int]:
    for group in cgroups.groups("memory", root):
        # memory.high slows a group down long before memory.max kills in it; to plan with either is right.
        names = ("memory.max", "memory.high") if group.is_v2 else ("memory.limit_in_bytes",)
        for name in names:
            limit = cgroups.number(group.folder / name)
            if limit is not None and limit > 0:
                yield limit


def _rollup(pid: int, root: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    try:
        text = (root / f"proc/{pid}/smaps_rollup").read_text("utf-8", errors="replace")
    except OSError:
        return sizes
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and len(fields) == 2 and fields[1] == "kB" and fields[0].isdecimal():
            sizes[name] = int(fields[0]) * 1024
    return sizes


def _resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)
