"""Latencies are counted in little room, told with two significant figures, and add up over workers."""

from math import ceil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.histogram import BUCKETS, Histogram, bucket, middle

durations = st.floats(2e-6, 3600.0)


@given(durations)
def test_a_duration_is_told_within_one_percent(seconds: float) -> None:
    """The middle of a duration's bucket differs from it by less than 1 %."""
    assert middle(bucket(seconds)) == pytest.approx(seconds, rel=0.01)


@given(durations, durations)
def test_buckets_keep_the_order_of_durations(one: float, other: float) -> None:
    """What takes longer never counts as shorter."""
    low, high = sorted((one, other))
    assert bucket(low) <= bucket(high)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-300, 1e-9])
def test_what_is_too_short_counts_as_shortest(seconds: float) -> None:
    """A clock that stands still or goes back is no error."""
    assert bucket(seconds) == 0


def test_what_is_too_long_counts_as_longest() -> None:
    """A request of a week is still counted."""
    assert bucket(7 * 86400.0) == BUCKETS - 1


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0.1, 100))
def test_percentiles_are_those_of_the_sorted_list(seen: list[float], percent: float) -> None:
    """The nearest-rank percentile of what was recorded, within a bucket's width."""
    latency = Histogram()
    for seconds in seen:
        latency.record(seconds)
    exact = sorted(seen)[max(1, ceil(len(seen) * percent / 100)) - 1]
    assert latency.percentile(percent) == pytest.approx(exact, rel=0.01)


def test_an_empty_histogram_has_percentiles_of_zero() -> None:
    """Before the first request there is nothing to divide by."""
    assert Histogram().percentiles(50, 99) == (0.0, 0.0)


@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_histograms_of_two_workers_add_up(one: list[float], other: list[float]) -> None:
    """Merged from their JSON, they equal one that had seen all."""
    parts, whole = (Histogram(), Histogram()), Histogram()
    for part, seen in zip(parts, (one, other), strict=True):
        for seconds in seen:
            part.record(seconds)
            whole.record(seconds)
    merged = Histogram()
    for part in parts:
        merged.merge(msgspec.json.decode(msgspec.json.encode(part.pairs()), type=tuple[tuple[int, int], ...]))
    assert merged.pairs() == whole.pairs()


def test_pairs_from_elsewhere_cannot_break_it() -> None:
    """Buckets that do not exist go to the ends."""
    assert Histogram([(-5, 1), (10**9, 2)]).pairs() == ((0, 1), (BUCKETS - 1, 2))
