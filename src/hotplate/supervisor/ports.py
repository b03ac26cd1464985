"""Why an address cannot be listened on, who has it, and which one to take instead."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Bind

_TRIED = 100  # ports looked at for a free one; somebody with so many in a row knows where theirs are
_UNPRIVILEGED = 8000  # added to a privileged port for the suggestion: 80 becomes 8080, 443 becomes 8443
_UNPRIVILEGED_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class Place(NamedTuple):
    """One address of a TCP bind, as the socket calls take it."""

    family: socket.AddressFamily
    address: tuple[str | int, ...]
    v6_only: bool = False

    @property
    def port(self) -> int:
        """The port; 0 lets the kernel choose."""
        return int(self.address[1])

    def on(self, port: int) -> Place:
        """Return the same address with another port."""
        return self._replace(address=(self.address[0], port, *self.address[2:]))

    def __str__(self) -> str:
        """Return it as a bind is written."""
        return str(Bind(kind="tcp", host=str(self.address[0]), port=self.port))


def resolve(bind: Bind) -> list[Place]:
    """Return the addresses of a TCP bind; a name such as localhost may have several.

    Raises:
        HotplateError: PORT_UNAVAILABLE; the name is not known.
    """
    try:
        found = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as problem:
        raise unavailable(
            str(bind), f"{bind.host} is not the name of an address ({problem.strerror})", f"Try {_loopback(bind.port)}."
        ) from None
    places = (Place(family, tuple(address)) for family, _kind, _protocol, _name, address in found)  # type: ignore[arg-type]  # the form with bytes is of other families
    return list(dict.fromkeys(places))


def taken_by_nobody(place: Place) -> None:
    """Bind without SO_REUSEPORT and let go again: with it, a second instance of the same user would share the port.

    Raises:
        OSError: the address cannot be had.
    """
    with _bound(place):
        pass


def free(place: Place) -> int:
    """Return the place's port, or for port 0 one that nobody has.

    Raises:
        OSError: the address cannot be had.
    """
    with _bound(place) as sock:
        return int(sock.getsockname()[1])


def is_shared(place: Place, listeners: Sequence[socket.socket]) -> bool:
    """Whether somebody else listens on the place's port, too, as SO_REUSEPORT lets this user's processes do."""
    own = {os.fstat(listener.fileno()).st_ino for listener in listeners}
    name = "tcp6" if place.family == socket.AF_INET6 else "tcp"
    with suppress(OSError, ValueError, IndexError):
        # proc(5): local address, state (0A: LISTEN) and inode are the 2nd, 4th and 10th column
        rows = [line.split() for line in Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:]]
        here = [row for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == place.port]
        ours = {row[1] for row in here if int(row[9]) in own}
        return any(row[1] in ours and int(row[9]) not in own for row in here)
    return False


def refusal(place: Place, problem: OSError) -> HotplateError:
    """Return the error for an address that could not be bound."""
    if problem.errno == errno.EADDRINUSE:
        return unavailable(str(place), f"the port is in use{_by_whom(place.port)}", _next_free(place))
    if problem.errno in {errno.EACCES, errno.EPERM} and place.port < _first_unprivileged():
        return unavailable(
            str(place),
            f"ports below {_first_unprivileged()} are for root and for processes with CAP_NET_BIND_SERVICE",
            f"Try --bind {place.on(place.port + _UNPRIVILEGED)}, or let systemd open the port (socket activation).",
        )
    if problem.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return unavailable(
            str(place), f"{place.address[0]} is not an address of this machine", f"Try one of {_own_addresses(place)}."
        )
    return unavailable(str(place), problem.strerror or str(problem), f"Try {_loopback(place.port)}.")


def unavailable(where: str, cause: str, remedy: str) -> HotplateError:
    """Return the error for an address that cannot be had."""
    return HotplateError(f"listen on {where}", cause, remedy, code=ExitCode.PORT_UNAVAILABLE)


def named(pid: int) -> str:
    """Return a process as " by nginx (pid 12)"; "" if it cannot be known."""
    try:
        return f" by {psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f" by pid {pid}" if pid > 0 else ""


def _bound(place: Place) -> socket.socket:
    sock = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two listeners share a port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if place.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6_only)
        sock.bind(place.address)
    except BaseException:
        sock.close()
        raise
    return sock


def _by_whom(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return named(connection.pid) if connection.pid else " by a process of another user"
    return ""


def _next_free(place: Place) -> str:
    for port in range(place.port + 1, min(place.port + _TRIED, 65535) + 1):
        with suppress(OSError):
            taken_by_nobody(place.on(port))
            return f"Stop it, or try --bind {place.on(port)}, which is free."
    return f"Stop it, or try --bind {place.on(0)} for any free port."


def _first_unprivileged() -> int:
    try:
        return int(_UNPRIVILEGED_START.read_text("ascii"))
    except (OSError, ValueError):
        return 1024


def _own_addresses(place: Place) -> str:
    wildcard = "0.0.0.0" if place.family == socket.AF_INET else "::"  # noqa: S104  a suggestion, for the user to choose
    with suppress(OSError, psutil.Error):
        own = [
            address.address
            for addresses in psutil.net_if_addrs().values()
            for address in addresses
            if address.family == place.family and "%" not in address.address
        ]
        return ", ".join(dict.fromkeys([*own, f"{wildcard} (all)"]))
    return f"{wildcard} (all)"


def _loopback(port: int) -> str:
    return f"--bind 127.0.0.1:{port}"
