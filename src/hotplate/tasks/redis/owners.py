"""Who has taken messages, and who of them is gone: no clock is asked, neither Redis's nor a machine's.

An owner is a consuming connection of a process. Every second it counts one up in Redis and reads what all others have
counted. An owner is gone

- at once, if it was a process of this machine that runs no more, or an earlier connection of this very process; and for
  as long as it is seen to run on this machine it is not gone, whatever its count says;
- at once, if this process has taken its place on another machine (see `hotplate.tasks.redis.configure`);
- after 15 looks, a second or more apart, at which its count stood still. A Redis that does not answer is not looked at,
  so that its pause makes nobody look dead; and a process that is paused does not look.

One that was wrongly thought gone, as after a long pause, has its messages run by another, too: twice, never not at all.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psutil

LOOKS = 15  # how often a count may stand still
PAUSE = 1.0  # seconds between looks, at least


class Owner(NamedTuple):
    """Who takes messages.

    Args:
        slot: the place it has in an instance; empty if it has none.
        place: the machine and the process namespace, so that a process id means something.
        pid: of the process.
        started: when the process started, in whatever the system counts.
        unique: of the connection.
    """

    slot: str
    place: str
    pid: int
    started: str
    unique: str

    def __str__(self) -> str:
        return "|".join(map(str, self))

    @classmethod
    def parse(cls, name: str) -> Owner | None:
        """Return the owner of a name; None if it is not one of ours.

        Example:
            >>> Owner.parse("shop-0@web1|here|17|4711|c0ffee").pid
            17
        """
        parts = name.rsplit("|", 4)
        if len(parts) != 5 or not parts[2].isdigit():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3], parts[4])

    @classmethod
    def new(cls, slot: str) -> Owner:
        """Return an owner of this process."""
        return cls(slot, place(), os.getpid(), started(os.getpid()), uuid4().hex[:12])

    @property
    def shown(self) -> str:
        """How people know it."""
        return self.slot or f"process {self.pid} of {self.place.partition('/')[0]}"

    @property
    def is_of_this_process(self) -> bool:
        """Whether it is a connection of this process, be it an earlier one."""
        return self.pid == os.getpid() and self.place == place() and self.started == started(self.pid)

    @property
    def runs(self) -> bool | None:
        """Whether its process runs; None if that cannot be told from here."""
        return _runs(self.pid, self.started) if self.place == place() else None


class Watch:
    """What one owner knows of the others.

    Args:
        me: the owner that looks.
    """

    def __init__(self, me: Owner) -> None:
        self._me = me
        self._seen: dict[str, tuple[str, int]] = {}
        self._is_new = True

    def gone(self, counts: Mapping[str, str], mine: Collection[str]) -> list[str]:
        """Return the owners that are gone, after another look.

        Args:
            counts: of all owners, as read now.
            mine: the owners that connections of this process are.
        """
        seen = {}
        for name, count in counts.items():
            before, looks = self._seen.get(name, ("", 0))
            seen[name] = (count, looks + 1 if count == before else 0)
        self._seen = seen
        is_new, self._is_new = self._is_new, False
        return [name for name in counts if name != str(self._me) and self._is_gone(name, mine, is_new=is_new)]

    def _is_gone(self, name: str, mine: Collection[str], *, is_new: bool) -> bool:
        if name in mine:
            return False
        owner = Owner.parse(name)
        if owner is not None:
            if owner.is_of_this_process:
                return True
            runs = owner.runs
            if runs is not None:
                return not runs
            if is_new and owner.slot and owner.slot == self._me.slot and owner.place != self._me.place:
                return True
        return self._seen[name][1] >= LOOKS


@cache
def place() -> str:
    """Return where a process id means what it means here; empty if that cannot be told."""
    if not Path("/proc/self/stat").exists():
        return f"{platform.node()}/{psutil.boot_time():.0f}"
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return f"unknown/{uuid4().hex[:12]}"  # nobody else's: only their counts tell
    return f"{platform.node()}/{boot}/{namespace}".replace("|", "/")


def started(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; empty if that cannot be told, "-" if it is over.

    Raises:
        ProcessLookupError: there is no such process.
    """
    with suppress(PermissionError):  # another user's, which is there all the same
        os.kill(pid, 0)
    try:
        # The second field is a name in parentheses, which may hold anything (proc(5)); the 3rd is the state, the 22nd
        # the start. psutil adds the time of boot, which moves with the clock.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, PermissionError):  # there is no /proc, or another user's processes are hidden in it
        return ""
    return "-" if fields[0] in {"Z", "X"} else fields[19]


def _runs(pid: int, since: str) -> bool | None:
    try:
        begun = started(pid)
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # it ended while it was looked at, for instance
        return None
    # Without a start that is known, another process may have got its id.
    return begun == since if begun and since else None
