"""What every store promises, so that what sits above cannot tell one process from fifty machines.

Freshness is a logical clock: `bump` gives the slots of what has changed a new number, and what was computed before is
invalid from then on, wherever it is kept. A reader takes its `Token` before the app can look at anything, so an answer
that a change overtook is refused when it is stored, or at the next hit; wall clocks have no part in it. Tags share
65,536 slots: two tags in one slot cost a needless miss, never a stale hit, and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec

SLOTS = 65536


class Token(NamedTuple):
    """The state of the clock when an answer was begun.

    Args:
        epoch: changes when everything is invalidated, or the clock was lost.
        seq: how many invalidations there had been.
    """

    epoch: int
    seq: int


class Look(NamedTuple):
    """What a look into a store found.

    Args:
        value: as it was put, None where there is nothing or nothing valid.
        token: where there is a value, its own; else the clock as of before the look: what the app computes from now
            on may be put with it. None where the store cannot be reached: what is computed now cannot be stored.
        slots: the value's.
        dies: wall-clock seconds at which the value is to be forgotten.
    """

    value: bytes | None
    token: Token | None
    slots: tuple[int, ...] = ()
    dies: float = 0.0


class StoreState(msgspec.Struct, frozen=True):
    """How a store is doing.

    Args:
        kind: `process`, `lmdb` or `redis`.
        entries: how many it holds, -1 where unknown.
        used: bytes they take, -1 where unknown.
        limit: bytes they may take, 0 for no limit of ours.
        is_up: whether it answers.
        detail: one line for people: the file, the server without its password, the last fault.
        evicted: entries that were thrown out for room since it was opened.
        faults: operations that failed since it was opened.
    """

    kind: str
    entries: int
    used: int
    limit: int
    is_up: bool
    detail: str
    evicted: int = 0
    faults: int = 0


class Store(Protocol):
    """Keeps bytes under 32-byte keys; safe to use from all threads of a process, never across a fork.

    No method raises for what the outside did: a store that is full, corrupt or gone holds nothing and says so in
    `state`.

    Attributes:
        is_slow: whether `look`, `lease` and `bump` may wait for the network, and so must be kept off the loop and the
            data plane's thread.
        is_shared: whether other processes see what this one puts.
    """

    is_slow: bool
    is_shared: bool

    def look(self, key: bytes) -> Look:
        """Return what is kept under `key`, if it is valid."""

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look without waiting; `told` hears of it, in any thread, exactly once and within the store's time budget."""

    def put(self, key: bytes, value: bytes, token: Token, slots: Sequence[int], seconds: float) -> None:
        """Keep `value` for `seconds`, unless one of `slots` or everything was invalidated since `token`.

        May be queued; a later `look`, `release` or `drop` of this process sees its outcome.
        """

    def drop(self, keys: Collection[bytes]) -> None:
        """Forget what is kept under `keys`; may be queued."""

    def valid(self, token: Token, slots: Sequence[int]) -> bool:
        """Whether nothing of `slots` was invalidated since `token`: without I/O, for every hit in memory."""

    def now(self) -> Token | None:
        """Return the clock; without I/O. None where it is not known."""

    def bump(self, slots: Collection[int]) -> None:
        """Invalidate what depends on `slots`; when it returns, no process that shares the store serves it."""

    def clear(self) -> None:
        """Invalidate everything, as `bump` does."""

    def lease(self, key: bytes, seconds: float) -> bool:
        """Try to become the one who computes `key`, for at most `seconds`; a dead holder's lease is given away."""

    def release(self, key: bytes) -> None:
        """Give back a lease of this process; may be queued."""

    def state(self) -> StoreState:
        """How it is doing."""

    def close(self) -> None:
        """Let go of files and connections."""
