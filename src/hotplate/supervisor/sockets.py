"""The listening sockets: opened by the master, kept by it, inherited by whoever serves a slot.

On Linux each TCP address has one listener per slot (SO_REUSEPORT): connections spread over the workers, and what is
queued in a slot waits there for the slot's next worker. Unix sockets, inherited descriptors and other systems have
one listener that all slots share. A listener's index in its kernel group is its slot's number, because slots are
opened and closed in order (see `steering`).
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hotplate.errors import HotplateError
from hotplate.settings import Bind
from hotplate.supervisor import ports, steering, unixpaths
from hotplate.supervisor.ports import Place, unavailable

_PER_SLOT = sys.platform == "linux"  # elsewhere SO_REUSEPORT does not spread connections, or does not exist
_NOT_OURS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Endpoint:
    """One address that is listened on.

    Args:
        text: the address as it is shown.
        listeners: one per slot, or just the one that all share.
        place: where further slots' listeners go; None if all share one.
    """

    def __init__(self, text: str, listeners: list[socket.socket], place: Place | None = None) -> None:
        self.text = text
        self.listeners = listeners
        self.place = place

    def of(self, slot: int) -> socket.socket:
        """Return the listener that `slot` serves."""
        return self.listeners[slot if self.place else 0]


class Sockets:
    """All listeners of an instance; slot 0's exist from the beginning.

    Args:
        binds: where to listen.
        backlog: queue of each listener; the kernel lowers it to net.core.somaxconn.
        inherited: descriptors of listeners that systemd opened.
        scheme: "http" or "https", for the addresses shown.

    Raises:
        HotplateError: PORT_UNAVAILABLE; nothing stays open.
    """

    def __init__(
        self, binds: Sequence[Bind], backlog: int, inherited: Sequence[int] = (), scheme: str = "http"
    ) -> None:
        self._backlog = backlog
        self._scheme = scheme
        self._paths: list[tuple[Path, unixpaths.Identity]] = []
        self._endpoints: list[Endpoint] = []
        self._slots = 1
        self._weights: dict[int, int] = {}
        self.unsteerable = "" if _PER_SLOT else "only Linux can"
        numbers = dict.fromkeys([*inherited, *(bind.fd for bind in binds if bind.kind == "fd")])
        try:
            for number in numbers:
                self._endpoints.append(_inherited(number))
            for bind in binds:
                self._open(bind, binds)
        except BaseException:
            self.close()
            raise

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened on, as URLs where they exist."""
        return tuple(endpoint.text for endpoint in self._endpoints)

    @property
    def spread(self) -> bool:
        """Whether there is an address whose connections can be steered to slots."""
        return not self.unsteerable and any(endpoint.place for endpoint in self._endpoints)

    def of(self, slot: int) -> list[socket.socket]:
        """Return the listeners of `slot`, one per address; opens them when the slot is the next one.

        Raises:
            HotplateError: PORT_UNAVAILABLE, such as when no more descriptors are to be had.
        """
        if slot == self._slots:
            for endpoint in self._endpoints:
                if endpoint.place:
                    try:
                        endpoint.listeners.append(_bound(endpoint.place))
                        endpoint.listeners[-1].listen(self._backlog)
                    except OSError as problem:
                        self._close_beyond(slot)
                        raise ports.refusal(endpoint.place, problem) from None
            self._slots += 1
        return [endpoint.of(slot) for endpoint in self._endpoints]

    def listen(self) -> None:
        """Take connections; to be called when the first worker is warm.

        Until then the TCP addresses are only bound: who connects during the start is refused, so that a client or load
        balancer tries elsewhere or again, and does not wait for a model that loads.

        Raises:
            HotplateError: PORT_UNAVAILABLE; another instance of this user took the port since it was bound.
        """
        for endpoint in self._endpoints:
            for listener in endpoint.listeners:
                if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    listener.listen(self._backlog)
            if endpoint.place and ports.is_shared(endpoint.place, endpoint.listeners):
                raise ports.refusal(endpoint.place, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))

    def close_last(self) -> None:
        """Close the listeners of the highest slot; whoever is still queued there is turned away."""
        self._slots -= 1
        self._close_beyond(self._slots)

    def steer(self, weights: Mapping[int, int]) -> str:
        """Spread new connections over slots by weight; without weights all stays as it is.

        Returns:
            Why it cannot be done, when that is found out now; from then on the kernel's hash decides.
        """
        wanted = {slot: weight for slot, weight in weights.items() if weight > 0}
        if not wanted or wanted == self._weights or not self.spread:
            return ""
        try:
            for endpoint in self._endpoints:
                if endpoint.place:
                    steering.attach(endpoint.listeners[0], steering.program(wanted))
        except (OSError, ValueError) as problem:
            self.unsteerable = str(problem)
            return self.unsteerable
        self._weights = wanted
        return ""

    def all(self) -> list[socket.socket]:
        """Return every listener."""
        return [listener for endpoint in self._endpoints for listener in endpoint.listeners]

    def close(self) -> None:
        """Listen no more, and remove the files of Unix sockets."""
        for path, identity in self._paths:
            unixpaths.remove(path, identity)
        for listener in self.all():
            listener.close()
        self._paths, self._endpoints = [], []

    def _open(self, bind: Bind, binds: Sequence[Bind]) -> None:
        if bind.kind == "unix":
            path = Path(bind.path).absolute()
            listener, identity = unixpaths.listen(path, self._backlog)
            self._paths.append((path, identity))
            self._endpoints.append(Endpoint(str(bind), [listener]))
        elif bind.kind == "tcp":
            self._open_tcp(bind, v6_only=any(_ipv4_on(other, bind.port) for other in binds))

    def _open_tcp(self, bind: Bind, *, v6_only: bool) -> None:
        refused: HotplateError | None = None
        opened = False
        for place in ports.resolve(bind):
            wanted = place._replace(v6_only=v6_only and place.family == socket.AF_INET6)
            try:
                # The probe finds the port of others; for port 0 it finds one for all slots.
                wanted = wanted.on(ports.free(wanted))
                listener = _bound(wanted)
            except OSError as problem:
                refused = refused or ports.refusal(wanted, problem)
                if problem.errno in _NOT_OURS:  # localhost means ::1, too, which not every container has
                    continue
                raise refused from None
            self._endpoints.append(Endpoint(f"{self._scheme}://{wanted}", [listener], wanted if _PER_SLOT else None))
            opened = True
        if refused and not opened:
            raise refused

    def _close_beyond(self, slots: int) -> None:
        for endpoint in self._endpoints:
            if endpoint.place:
                for listener in endpoint.listeners[slots:]:
                    listener.close()
                del endpoint.listeners[slots:]


def _bound(place: Place) -> socket.socket:
    sock = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
        if _PER_SLOT:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if place.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6_only)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what is accepted
        sock.bind(place.address)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock


def _inherited(number: int) -> Endpoint:
    where = f"fd://{number}"
    remedy = "Pass a stream socket that listens, as a systemd socket unit does."
    try:
        sock = socket.socket(fileno=number)
    except OSError as problem:
        raise unavailable(where, f"it is no socket ({problem.strerror})", remedy) from None
    is_listening = False
    with suppress(OSError):
        is_listening = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    if sock.type != socket.SOCK_STREAM or not is_listening:
        sock.detach()
        raise unavailable(where, "it is no listening stream socket", remedy)
    sock.set_inheritable(False)
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return Endpoint(f"unix:{name if isinstance(name, str) else name.decode(errors='replace')}", [sock])
    return Endpoint(str(Place(sock.family, name)) + f" ({where})", [sock])


def _ipv4_on(bind: Bind, port: int) -> bool:
    return bind.kind == "tcp" and bind.port == port != 0 and ":" not in bind.host
