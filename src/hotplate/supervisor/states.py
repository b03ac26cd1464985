"""The life of a worker as the master sees it: which state may follow which, and nothing else.

    booting -> ready -> draining -> gone, and from each straight to gone

A worker may be lost (killed, crashed, its channel closed) in any state. One that is not ready yet is never drained: it
has no clients, so it is killed.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a worker is in its life."""

    BOOTING = "booting"  # forked; imports (without preload), starts, warms up
    READY = "ready"  # warm and accepting
    DRAINING = "draining"  # accepts no more, finishes what it has
    GONE = "gone"  # not to be counted on; the process may take a moment longer to end


FOLLOWS: dict[State, frozenset[State]] = {
    State.BOOTING: frozenset({State.READY, State.GONE}),
    State.READY: frozenset({State.DRAINING, State.GONE}),
    State.DRAINING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}


class OutOfOrderError(Exception):
    """A process said something that its state does not allow."""


def follow(now: State, then: State) -> State:
    """Return `then`.

    Raises:
        OutOfOrderError: the table does not let it follow `now`.

    Example:
        >>> follow(State.BOOTING, State.READY)
        <State.READY: 'ready'>
    """
    if then not in FOLLOWS[now]:
        raise OutOfOrderError(f"a worker that is {now.value} cannot become {then.value}")
    return then
