"""The store of one process: for tests, scripts, and where no folder can be written."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from secrets import randbits
from threading import Lock
from typing import NamedTuple

from hotplate.cache.stores.base import Look, StoreState, Token

_OVERHEAD = 250  # bytes of a dict entry, its key, tuple and token; a good guess is enough for a bound


class _Kept(NamedTuple):
    value: bytes
    token: Token
    slots: tuple[int, ...]
    dies: float


class LocalStore:
    """Keeps values in a dict of this process; a forked child goes on with its own copy.

    Args:
        limit: bytes it may take; the oldest entries make room.
        clock: wall-clock seconds.
        ticks: seconds of a clock that never jumps, for leases.

    Example:
        >>> store = LocalStore(1_000_000)
        >>> store.put(bytes(32), b"page", store.now(), (7,), 60)
        >>> store.look(bytes(32)).value
        b'page'
        >>> store.bump([7])
        >>> store.look(bytes(32)).value
    """

    is_slow = False
    is_shared = False

    def __init__(
        self, limit: int, *, clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._ticks = ticks
        self._changing = Lock()
        self._kept: dict[bytes, _Kept] = {}
        self._leases: dict[bytes, float] = {}
        self._last: dict[int, int] = {}
        self._token = Token(randbits(63) or 1, 0)
        self._used = 0
        self._evicted = 0

    def look(self, key: bytes) -> Look:
        """Return what is kept under `key`, if it is valid."""
        token = self._token
        kept = self._kept.get(key)
        if kept is None:
            return Look(None, token)
        if kept.dies <= self._clock() or not self.valid(kept.token, kept.slots):
            with self._changing:
                if self._kept.get(key) is kept:
                    self._remove(key)
            return Look(None, token)
        return Look(kept.value, kept.token, kept.slots, kept.dies)

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look, and tell at once."""
        told(self.look(key))

    def put(self, key: bytes, value: bytes, token: Token, slots: Sequence[int], seconds: float) -> None:
        """Keep `value` for `seconds`, unless it was invalidated since `token`."""
        kept = _Kept(value, token, tuple(slots), self._clock() + seconds)
        with self._changing:
            if not self.valid(token, slots):
                return
            self._remove(key)
            if seconds <= 0 or _cost(value) > self._limit:
                return
            self._kept[key] = kept
            self._used += _cost(value)
            while self._used > self._limit:
                self._remove(next(iter(self._kept)))
                self._evicted += 1

    def drop(self, keys: Collection[bytes]) -> None:
        """Forget what is kept under `keys`."""
        with self._changing:
            for key in keys:
                self._remove(key)

    def valid(self, token: Token, slots: Sequence[int]) -> bool:
        """Whether nothing of `slots` was invalidated since `token`."""
        if token[0] != self._token[0]:
            return False
        last, seq = self._last, token[1]
        for slot in slots:  # noqa: SIM110 - all() of a generator takes twice as long
            if last.get(slot, 0) > seq:
                return False
        return True

    def now(self) -> Token:
        """Return the clock."""
        return self._token

    def bump(self, slots: Collection[int]) -> None:
        """Invalidate what depends on `slots`."""
        with self._changing:
            epoch, seq = self._token
            for slot in slots:
                self._last[slot] = seq + 1
            # Last: whoever has the new number must not be shown what the slots have just made invalid.
            self._token = Token(epoch, seq + 1)

    def clear(self) -> None:
        """Invalidate everything."""
        with self._changing:
            self._token = Token(randbits(63) or 1, self._token.seq)
            self._kept.clear()
            self._used = 0

    def lease(self, key: bytes, seconds: float) -> bool:
        """Try to become the one who computes `key`, for at most `seconds`."""
        now = self._ticks()
        with self._changing:
            if self._leases.get(key, now) > now:
                return False
            self._leases[key] = now + seconds
            return True

    def release(self, key: bytes) -> None:
        """Give back a lease."""
        with self._changing:
            self._leases.pop(key, None)

    def state(self) -> StoreState:
        """How it is doing."""
        return StoreState(
            "process", len(self._kept), self._used, self._limit, is_up=True, detail="memory of this process",
            evicted=self._evicted,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing to let go of."""

    def _remove(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._used -= _cost(kept.value)


def _cost(value: bytes) -> int:
    return len(value) + _OVERHEAD
