"""Recycling: each worker at its own moment, once, and never for a single large upload."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotplate.supervisor.recycle import Recycling

MIB = 1024 * 1024


@given(st.integers(1, 10**9), st.integers(0, 10**6))
def test_requests_are_at_most_ten_per_cent_off(max_requests: int, serial: int) -> None:
    """A worker is due within 10 % of what was asked for, and after at least one request."""
    limit = Recycling(max_requests, 0, serial).max_requests
    assert limit >= 1
    assert abs(limit - max_requests) <= max_requests * 0.1


def test_workers_are_not_due_together() -> None:
    """Workers that get equal shares are not replaced at the same time."""
    limits = {Recycling(10_000, 0, serial).max_requests for serial in range(1, 9)}
    assert len(limits) == 8


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 200 * MIB)), max_size=50), st.integers(1, 9))
def test_is_said_at_most_once(samples: list[tuple[int, int]], serial: int) -> None:
    """Whatever the figures, a worker asks at most once."""
    recycling = Recycling(1000, 100 * MIB, serial)
    assert sum(bool(recycling.due(requests, private)) for requests, private in samples) <= 1


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**12)), max_size=20))
def test_is_off_unless_asked_for(samples: list[tuple[int, int]]) -> None:
    """Without limits no worker is ever due."""
    recycling = Recycling(0, 0, 1)
    assert not any(recycling.due(requests, private) for requests, private in samples)


def test_memory_must_be_too_high_twice_in_a_row() -> None:
    """A peak that has gone by the next sample is not a leak; beats without a sample do not count."""
    recycling = Recycling(0, 100 * MIB, 1)
    assert not recycling.due(1, 150 * MIB)
    assert not recycling.due(2, 0)
    assert not recycling.due(3, 90 * MIB)
    assert not recycling.due(4, 150 * MIB)
    assert not recycling.due(5, 0)
    assert "151 MiB" in recycling.due(6, 151 * MIB)
