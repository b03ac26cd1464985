"""Which slots new connections go to, and who gives some up: decided from counts, without a socket.

The kernel spreads connections over a listener group by a hash. With few connections that is uneven: with 8 over 2
workers the busier one has 5 or more in two of three starts, and keep-alive clients stay where they are. So, while the
counts differ noticeably, new connections go where some are missing, each slot in proportion to what it lacks, and a
slot with too many asks the surplus to reconnect (`Connection: close` on their next response).

Only connections that are used again can be moved. Where each request brings a connection of its own, the counts of a
quarter second say nothing about the next one, and steering by them would make the load swing to and fro.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TOLERATED = 1  # connections; an odd number never divides evenly
TOLERATED_SHARE = 0.1  # of the busiest slot; below it nobody waits longer for a busier neighbour
REQUESTS_PER_CONNECTION = 2.0  # since the last beat; what a connection must have carried to count as kept alive
REST = 3  # rounds; closed connections stay in one more beat, and their clients take a moment to come back


class Load(NamedTuple):
    """One ready slot's connections in use, and the requests answered since its last beat."""

    slot: int
    connections: int
    requests: int


class Plan(NamedTuple):
    """Weights of the slots for new connections, and how many each is to shed."""

    weights: dict[int, int]
    shed: dict[int, int]


class Leveller:
    """Makes a plan for each round of beats.

    Example:
        >>> leveller = Leveller()
        >>> leveller.plan([Load(0, 3, 900), Load(1, 1, 300)])
        Plan(weights={1: 1}, shed={0: 1})
        >>> leveller.plan([Load(0, 2, 600), Load(1, 2, 600)]).shed  # resting: what moved has not settled yet
        {}
    """

    def __init__(self) -> None:
        self._resting = 0
        self._last: Plan | None = None

    def plan(self, loads: Sequence[Load]) -> Plan:
        """Return what to do now.

        Args:
            loads: the ready slots, in any order.
        """
        even = Plan({load.slot: 1 for load in loads}, {})
        if self._resting and self._last and self._last.weights.keys() <= even.weights.keys():
            self._resting -= 1
            return Plan(self._last.weights, {})
        self._resting, self._last = 0, None
        if not _kept_alive(loads) or not _uneven([load.connections for load in loads]):
            return even
        self._last = _levelling(loads)
        self._resting = REST
        return self._last


def _kept_alive(loads: Sequence[Load]) -> bool:
    connections = sum(load.connections for load in loads)
    requests = sum(load.requests for load in loads)
    return connections > 0 and requests >= REQUESTS_PER_CONNECTION * connections


def _uneven(counts: Sequence[int]) -> bool:
    gap = max(counts) - min(counts)
    return gap > TOLERATED and gap > TOLERATED_SHARE * max(counts)


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
