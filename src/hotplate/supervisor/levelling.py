"""Which slots new connections go to, and who gives some up: decided from counts, without a socket.

The kernel spreads connections over a listener group by a hash. With few connections that is uneven: with 8 over 2
workers the busier one has 5 or more in two of three starts, and keep-alive clients stay where they are. So, while the
counts differ noticeably, new connections go where some are missing, each slot in proportion to what it lacks, and a
slot with too many asks the surplus to reconnect (`Connection: close` on their next response).

Workers tell their counts one after the other: when a load begins or ends, some have told and some have not. So only
what looks the same for two rounds is acted on. And the steering lasts only for the moment in which clients come back:
whoever came later would find all new connections sent to one slot. Measured, a load that began within a quarter second
after a plan was served by one of two workers for half a second.

Only connections that are used again can be moved. Where each request brings a connection of its own, the counts of a
quarter second say nothing about the next one, and steering by them would make the load swing to and fro.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

TOLERATED = 1  # connections; an odd number never divides evenly
TOLERATED_SHARE = 0.1  # of the busiest slot; below it nobody waits longer for a busier neighbour
REQUESTS_PER_CONNECTION = 2.0  # since the last beat; what a connection must have carried to count as kept alive
REST = 3  # rounds; closed connections stay in one more beat, and their clients take a moment to come back
COME_BACK = 0.1  # seconds in which most clients do, once their next response has told them to


class Load(NamedTuple):
    """One ready slot's connections in use, and the requests answered since its last beat."""

    slot: int
    connections: int
    requests: int


class Plan(NamedTuple):
    """Weights of the slots for new connections (after `COME_BACK`: even), and how many each is to shed."""

    weights: dict[int, int]
    shed: dict[int, int]


class Leveller:
    """Makes a plan for each round of beats.

    Example:
        >>> leveller = Leveller()
        >>> leveller.plan([Load(0, 3, 900), Load(1, 1, 300)]).shed  # is it still so in the next round?
        {}
        >>> leveller.plan([Load(0, 3, 900), Load(1, 1, 300)])
        Plan(weights={1: 1}, shed={0: 1})
        >>> leveller.plan([Load(0, 2, 600), Load(1, 2, 600)]).shed  # resting: what moved has not settled yet
        {}
    """

    def __init__(self) -> None:
        self._resting = 0
        self._counts: dict[int, int] = {}

    def plan(self, loads: Sequence[Load]) -> Plan:
        """Return what to do now.

        Args:
            loads: the ready slots, in any order.
        """
        before, self._counts = self._counts, {load.slot: load.connections for load in loads}
        self._resting = max(0, self._resting - 1)
        if (
            self._resting
            or not _kept_alive(loads)
            or not _uneven(self._counts.values())
            or not _uneven(before.values())
            or not _same(before, self._counts)
        ):
            return Plan(dict.fromkeys(self._counts, 1), {})
        self._resting = REST + 1
        return _levelling(loads)


def _kept_alive(loads: Sequence[Load]) -> bool:
    connections = sum(load.connections for load in loads)
    requests = sum(load.requests for load in loads)
    return connections > 0 and requests >= REQUESTS_PER_CONNECTION * connections


def _uneven(counts: Collection[int]) -> bool:
    gap = max(counts, default=0) - min(counts, default=0)
    return gap > TOLERATED and gap > TOLERATED_SHARE * max(counts)


def _same(before: Mapping[int, int], now: Mapping[int, int]) -> bool:
    return before.keys() == now.keys() and not any(_uneven([before[slot], now[slot]]) for slot in now)


def _levelling(loads: Sequence[Load]) -> Plan:
    """Return the moves to an even spread; the fullest slots keep the connections that do not divide."""
    total = sum(load.connections for load in loads)
    share, left_over = divmod(total, len(loads))
    fullest_first = sorted(loads, key=lambda load: (-load.connections, load.slot))
    fair = {load.slot: share + (place < left_over) for place, load in enumerate(fullest_first)}
    missing = {load.slot: fair[load.slot] - load.connections for load in loads}
    return Plan(
        weights={slot: count for slot, count in missing.items() if count > 0},
        shed={slot: -count for slot, count in missing.items() if count < 0},
    )
