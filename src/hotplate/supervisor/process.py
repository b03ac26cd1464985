"""A process that the master watches: its own child, or a grandchild that a generation forked.

A pidfd tells of the end of either at once (Linux 5.3), and cannot hit a stranger who got the number afterwards. The
exit status of a grandchild comes from its parent, the generation; when that is dead, the kernel gives its children to
the master (PR_SET_CHILD_SUBREAPER, Linux 3.4), which then collects them itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends; where the kernel cannot, init gets them."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def oom_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes the kernel has killed for lack of memory, cgroups' limits included (Linux 4.13)."""
    try:
        fields = dict(line.split(maxsplit=1) for line in vmstat.read_text("ascii").splitlines())
        return int(fields["oom_kill"])
    except (OSError, ValueError, KeyError):
        return 0


def read_out(descriptor: int, read: Callable[[], None], is_over: Callable[[], bool]) -> None:
    """Have `read` called until nothing is left to be read: the end of a process is often seen before its last words."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not is_over() and poll.poll(0):
        read()


class Reaper:
    """Collects ended children and tells whoever watches them."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[int], None]] = {}

    def watch(self, pid: int, told: Callable[[int], None]) -> None:
        """Have `told` called with the status of `pid` (as of `os.waitstatus_to_exitcode`) when it ends as our child."""
        self._watched[pid] = told

    def forget(self, pid: int) -> None:
        """Watch `pid` no more."""
        self._watched.pop(pid, None)

    def collect(self) -> None:
        """Collect whoever has ended; called on SIGCHLD."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                told = self._watched.pop(pid, None)
                if told:
                    told(os.waitstatus_to_exitcode(status))


class Process:
    """One process, until it has ended.

    Args:
        pid: its number.
        reaper: collects it if it is, or becomes, our child.
        ended: called once, as soon as it is known to have ended.
    """

    def __init__(self, pid: int, reaper: Reaper, ended: Callable[[], None]) -> None:
        self.pid = pid
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.known: asyncio.Future[int] = self._loop.create_future()
        self._reaper = reaper
        self._ended = ended
        self._pidfd = -1
        reaper.watch(pid, self.settle)
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._loop.call_soon(self._end)
            except OSError:
                pass  # an old kernel or a sandbox: the channel and the parent tell of the end
            else:
                self._loop.add_reader(self._pidfd, self._end)

    def settle(self, status: int) -> None:
        """Take note of the exit status, and thereby of the end."""
        if not self.known.done():
            self.known.set_result(status)
        self._reaper.forget(self.pid)
        self._end()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.exited.done():
            return
        with suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self.pid, number)

    async def status(self, patience: float = 1.0) -> int | None:
        """Return the exit status, waiting up to `patience` seconds for it; None if nobody tells."""
        await asyncio.wait([self.known], timeout=patience)
        return self.known.result() if self.known.done() else None

    def _end(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if not self.exited.done():
            self.exited.set_result(None)
            self._ended()
