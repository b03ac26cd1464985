"""What systemd is told and what it hands over: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

The protocols are a datagram and three environment variables, so no library is needed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

FIRST_INHERITED = 3  # SD_LISTEN_FDS_START
_MOST_INHERITED = 1024


class Notifier:
    """Tells the service manager how it goes; does nothing where there is none.

    Takes its variables out of `environ`, since they are meant for this process and not for its children.

    Example:
        >>> Notifier({}).notify("READY=1")
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_interval = _watchdog_interval(environ)

    def notify(self, *assignments: str) -> None:
        """Send assignments such as "READY=1"; a manager that does not listen is no reason to stop."""
        if not self._address.startswith(("/", "\0")):
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto("\n".join(assignments).encode(), socket.MSG_DONTWAIT, self._address)

    def ready(self, status: str) -> None:
        """Say that every worker is warm."""
        self.notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that a reload began; `Type=notify-reload` wants the time as well."""
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reloading")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self.notify("STOPPING=1", "STATUS=Draining")

    def alive(self) -> None:
        """Feed the watchdog."""
        self.notify("WATCHDOG=1")


def _watchdog_interval(environ: MutableMapping[str, str]) -> float:
    """Return half the time after which systemd would lose patience, in seconds; 0 if it does not watch."""
    microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1_000_000 / 2


def inherited(environ: MutableMapping[str, str]) -> list[int]:
    """Return the descriptors of the listeners that were handed over, and take the variables out of `environ`.

    Example:
        >>> inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})
        [3, 4]
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return list(range(FIRST_INHERITED, FIRST_INHERITED + min(int(count), _MOST_INHERITED)))
