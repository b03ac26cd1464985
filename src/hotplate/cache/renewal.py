"""Leases that are held longer than they were given for are renewed, by one thread that is there only while needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hotplate.cache.stores.base import Store

MOST = 600.0  # seconds a lease is renewed for; what computes longer hangs, and others may try


class Renewal:
    """Renews the leases of one process at a third of their time.

    `Store.lease` for a key whose lease this process has renews it.

    Args:
        store: gave the leases.
        seconds: they are given for.
        clock: monotonic seconds.
    """

    def __init__(self, store: Store, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._seconds = seconds
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._since: dict[bytes, float] = {}
        self._due: dict[bytes, float] = {}
        self._busy: bytes | None = None
        self._is_dropped = False
        self._runs = False

    def is_free(self, key: bytes) -> bool:
        """Whether no renewal for an earlier leader of `key` is on its way; while it is, no lease may be taken."""
        return self._busy != key

    def keep(self, key: bytes) -> None:
        """Renew the lease of `key` until `let_go`."""
        with self._changed:
            self._since[key] = now = self._clock()
            self._due[key] = now + self._seconds / 3
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="hotplate-leases", daemon=True).start()

    def let_go(self, key: bytes) -> bool:
        """Renew it no more; False where a renewal is on its way, after which the lease is released here."""
        with self._changed:
            self._since.pop(key, None)
            self._due.pop(key, None)
            if self._busy == key:
                self._is_dropped = True
                return False
            return True

    def close(self) -> None:
        """Renew nothing more."""
        with self._changed:
            self._since.clear()
            self._due.clear()
            self._changed.notify()

    def renew_due(self) -> float:
        """Renew what is due and return the seconds until the next, at most a third of a lease."""
        while True:
            with self._changed:
                now = self._clock()
                key = min(self._due, key=self._due.__getitem__, default=None)
                if key is None or self._due[key] > now:
                    third = self._seconds / 3
                    return third if key is None else min(third, self._due[key] - now)
                if now - self._since[key] > MOST:
                    del self._due[key]
                    continue
                self._due[key] = now + self._seconds / 3
                self._busy, self._is_dropped = key, False
            self._store.lease(key, self._seconds)
            with self._changed:
                dropped = self._is_dropped
            if dropped:
                self._store.release(key)
            self._busy = None

    def _run(self) -> None:
        idle = 0
        while True:
            pause = self.renew_due()
            with self._changed:
                idle = 0 if self._due else idle + 1
                if idle > 1:
                    self._runs = False
                    return
                self._changed.wait(pause)
