"""A machine that several processes share, in one process and with a clock that is set by hand."""

from __future__ import annotations

from hotplate.cache.stores.base import Look, Token
from hotplate.cache.stores.local import LocalStore

KEY = bytes(32)


class Machine:
    """What several processes share: values, leases, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.values: dict[bytes, bytes] = {}
        self.leases: dict[bytes, tuple[object, float]] = {}
        self.is_gone = False


class FakeStore(LocalStore):
    """A store as one process sees it; the methods that flights use are the shared machine's."""

    is_slow = True
    is_shared = True

    def __init__(self, machine: Machine) -> None:
        super().__init__(10_000)
        self.machine = machine

    def look(self, key: bytes) -> Look:
        """Return the value."""
        return Look(self.machine.values.get(key), None if self.machine.is_gone else Token(1, 0))

    def lease(self, key: bytes, seconds: float) -> bool:
        """Take or renew."""
        holder, until = self.machine.leases.get(key, (self, 0.0))
        if holder is not self and until > self.machine.now:
            return False
        self.machine.leases[key] = self, self.machine.now + seconds
        return True

    def release(self, key: bytes) -> None:
        """Give back."""
        if self.machine.leases.get(key, (None,))[0] is self:
            del self.machine.leases[key]
