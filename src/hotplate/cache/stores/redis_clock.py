"""The clock in Redis: what its keys are called, and what is done to it on a connection of its own."""

from __future__ import annotations

from collections.abc import Collection
from secrets import randbits
from typing import NamedTuple

from hotplate.cache.stores.redis_operation import Debt
from hotplate.cache.stores.redis_scripts import BUMP, GREET
from hotplate.cache.stores.redis_wire import Wire, WireError, fault_of

_MOST_NAMED = 200  # slots in an announcement


class Names(NamedTuple):
    """What a namespace's keys are called, and we in them.

    Args:
        clock: the hash with epoch, number and slots; its announcements begin with it.
        members: who follows the clock, and until when in milliseconds of the server's time.
        heard: up to which number each of them has heard.
        who: this process.
    """

    clock: bytes
    members: bytes
    heard: bytes
    who: bytes


def greet(wire: Wire, names: Names, *, is_forced: bool = False) -> tuple[bytes, int]:
    """Return the clock's epoch and seq as of now; begin a new epoch where there is none, or not from this server's run.

    Raises:
        WireError: the server cannot or will not.
    """
    reply = wire.call(*GREET.whole(names.clock, new_epoch(), b"1" if is_forced else b"0"))
    if fault := fault_of(reply):
        raise WireError(fault[:200])
    epoch, seq = reply
    return bytes(epoch), int(seq)


def repay(wire: Wire, names: Names, owed: Debt) -> None:
    """Invalidate what is owed: what was computed since has a smaller number, wherever it is kept.

    Raises:
        WireError: the server cannot or will not.
    """
    slots = [b"%d" % slot for slot in sorted(owed.slots)]
    if owed.is_everything or fault_of(wire.call(*BUMP.whole(*bump(names, slots)))):
        greet(wire, names, is_forced=True)


def bump(names: Names, slots: Collection[bytes]) -> tuple[bytes, ...]:
    """Return what `BUMP` needs."""
    return (names.clock, names.members, names.who, announced(slots), *slots)


def new_epoch() -> bytes:
    """Return an epoch that no other has."""
    return b"%d" % (randbits(62) + 1)


def announced(slots: Collection[bytes]) -> bytes:
    """Return how slots are announced; many are announced as not told.

    Example:
        >>> announced([b"7", b"12"]), announced([b"1"] * 1000)
        (b'7,12', b'?')
    """
    return b",".join(slots) if len(slots) <= _MOST_NAMED else b"?"
