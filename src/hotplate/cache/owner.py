"""Who holds something in a file that processes share, so that what the dead held can be given away.

A number of a process alone is not enough: the kernel gives it to the next one. With the moment at which the process
began, in the kernel's own ticks (proc(5), field 22 of /proc/PID/stat), it is unique until the machine starts anew.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import psutil


class Owner(NamedTuple):
    """One process.

    Args:
        pid: its number.
        born: when it began, in ticks of the kernel; 0 where that cannot be known.
        space: which start of the machine (upper 32 bits) and which numbering, as containers have, `pid` belongs to.
    """

    pid: int
    born: int
    space: int


def me() -> Owner:
    """Return this process.

    Example:
        >>> is_gone(me())
        False
    """
    return _me(os.getpid())


def is_foreign(owner: Owner) -> bool:
    """Whether the process is of a container that is not this one, or of one that has ended: it cannot be known."""
    return owner.space != _space()


def is_gone(owner: Owner) -> bool:
    """Whether it is certain that the process no longer runs; one of another container is given the benefit."""
    if owner.space >> 32 != _space() >> 32:
        return True
    if owner.space != _space():
        return False
    born = _born(owner.pid)
    return born is None or born != owner.born


@cache
def boot() -> int:
    """Return a number for this start of the machine: what the kernel may have written back in any order is older."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        text = str(int(psutil.boot_time())).encode()
    return _number(text)


@cache
def _space() -> int:
    try:
        numbering = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a link into the kernel, not a path
    except OSError:
        numbering = 0
    return (boot() >> 31) << 32 | numbering & 0xFFFFFFFF


@cache
def _me(pid: int) -> Owner:
    return Owner(pid, _born(pid) or 0, _space())


def _born(pid: int) -> int | None:
    """Return when a process began, None where there is none or it only waits to be buried."""
    try:
        # The name in parentheses may itself hold parentheses and spaces.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in {b"Z", b"X"} else int(fields[19])
    except (OSError, ValueError, IndexError):
        return _born_elsewhere(pid)


def _born_elsewhere(pid: int) -> int | None:
    """Return the same on a system without /proc."""
    if Path("/proc/self/stat").exists():
        return None
    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.Error:
        return None


def _number(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1 or 1
