"""Levelling: connections end up even, nobody gives up more than the surplus, and nothing swings."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotplate.supervisor.levelling import REST, Leveller, Load, Plan

BUSY = 100  # requests per connection and round


def loads(counts: list[int], requests_each: int = BUSY) -> list[Load]:
    """Return the loads of slots with so many connections, each of which carried so many requests."""
    return [Load(slot, count, count * requests_each) for slot, count in enumerate(counts)]


def settled(counts: list[int], requests_each: int = BUSY) -> tuple[Leveller, Plan]:
    """Return a leveller that has seen the same counts twice, and its plan."""
    leveller = Leveller()
    leveller.plan(loads(counts, requests_each))
    return leveller, leveller.plan(loads(counts, requests_each))


def is_even(counts: list[int]) -> bool:
    """Say whether the counts differ by no more than is tolerated."""
    gap = max(counts) - min(counts)
    return gap <= 1 or gap <= 0.1 * max(counts)


def test_an_uneven_spread_is_levelled_and_an_even_one_left_alone() -> None:
    """For every spread over up to four slots: what is shed fits what others lack, to the connection."""
    for slots in (2, 3, 4):
        for counts in product(range(8), repeat=slots):
            _, plan = settled(list(counts))
            if is_even(list(counts)):
                assert plan == Plan(dict.fromkeys(range(slots), 1), {})
                continue
            after = [count - plan.shed.get(slot, 0) + plan.weights.get(slot, 0) for slot, count in enumerate(counts)]
            assert sum(plan.shed.values()) == sum(plan.weights.values())
            assert max(after) - min(after) <= 1
            assert not plan.shed.keys() & plan.weights.keys()


@settings(deadline=None)  # a starved machine is no failure
@given(st.lists(st.integers(0, 500), min_size=2, max_size=8))
def test_one_round_of_moves_is_enough(counts: list[int]) -> None:
    """When clients reconnect as steered, the next plan after the rest finds nothing to do."""
    leveller, plan = settled(counts)
    if not plan.shed:
        return
    moved = [count - plan.shed.get(slot, 0) + plan.weights.get(slot, 0) for slot, count in enumerate(counts)]
    for _ in range(REST):
        assert leveller.plan(loads(moved)) == Plan(dict.fromkeys(range(len(counts)), 1), {})
    assert not leveller.plan(loads(moved)).shed


@settings(deadline=None)  # a starved machine is no failure
@given(st.lists(st.integers(0, 50), min_size=2, max_size=6))
def test_clients_that_come_once_are_not_levelled(counts: list[int]) -> None:
    """Where each request has a connection of its own, the spread stays even, whatever the counts of a moment say."""
    _, plan = settled(counts, requests_each=1)
    assert plan == Plan(dict.fromkeys(range(len(counts)), 1), {})


def test_a_new_worker_gets_its_share() -> None:
    """After a death, the replacement has no connections; those of the others come over."""
    assert settled([8, 0])[1] == Plan({1: 4}, {0: 4})


@settings(deadline=None)  # a starved machine is no failure
@given(st.integers(1, 500), st.permutations(range(4)))
def test_the_end_of_a_load_steers_nobody(each: int, order: list[int]) -> None:
    """Workers tell one after the other that all is over: what comes next finds an even spread."""
    counts = [each] * len(order)
    leveller, _ = settled(counts)
    for slot in order:
        counts[slot] = 0
        assert leveller.plan(loads(counts)) == Plan(dict.fromkeys(range(len(counts)), 1), {})


@pytest.mark.parametrize(("connections", "bound"), [(4, 0.75), (8, 0.65), (16, 0.6), (64, 0.55)])
def test_no_spread_that_is_left_alone_is_too_uneven(connections: int, bound: float) -> None:
    """What is tolerated keeps the busiest of two workers within the promised share."""
    for first in range(connections + 1):
        counts = [first, connections - first]
        if not settled(counts)[1].shed:
            assert max(counts) / connections <= bound
