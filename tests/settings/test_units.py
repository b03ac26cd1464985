"""Durations and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.settings.refused import RefusedError
from hotplate.settings.units import parse_duration, parse_size, show_duration, show_size, show_size_roughly

DURATIONS = {
    "30": 30, "2.5": 2.5, "0": 0, "250ms": 0.25, "30s": 30, "5m": 300, "2h": 7200, "1d": 86400, " 30 s ": 30,
    "1h30m": 5400, "1h 30m": 5400, "1m500ms": 60.5, "1.5h": 5400, "30S": 30,
}  # fmt: skip
SIZES = {
    "1024": 1024, "0": 0, "10B": 10, "1K": 1024, "1KB": 1000, "1KiB": 1024, "64MB": 64_000_000, "64MiB": 64 * 1024**2,
    "64m": 64 * 1024**2, "1G": 1024**3, "1gb": 10**9, "1 GiB": 1024**3, "1.5K": 1536,
    "0.29GB": 290_000_000, "1T": 1024**4, "2TB": 2 * 10**12,
}  # fmt: skip
NO_DURATIONS = ("", "s", "5x", "-1s", "1e3", "5m2h", "5s5s", "1,5s", "٣s", "5 parsecs", "inf", "nan", "5m-1s", "1_000")
NO_SIZES = ("", "K", "5x", "-1", "1e3", "1KBs", "1,5K", "1 furlong", "٣K", "0x10", "1_000", "1iB", "5m5k")


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items(), ids=DURATIONS)
def test_durations(text: str, seconds: float) -> None:
    """A duration is read in its unit; a bare number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "count"), SIZES.items(), ids=SIZES)
def test_sizes(text: str, count: int) -> None:
    """KB is 1000 bytes, KiB and K are 1024."""
    assert parse_size(text) == count


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_no_durations(text: str) -> None:
    """What is no duration is refused with what would be."""
    with pytest.raises(RefusedError, match="such as 250ms"):
        parse_duration(text)


@pytest.mark.parametrize("text", NO_SIZES)
def test_no_sizes(text: str) -> None:
    """What is no size is refused with what would be."""
    with pytest.raises(RefusedError, match="such as 512KiB"):
        parse_size(text)


@given(st.integers(0, 10**12))
def test_durations_read_back(thousandths: int) -> None:
    """A duration written out is read back the same, to the millisecond."""
    assert parse_duration(show_duration(thousandths / 1000)) == pytest.approx(thousandths / 1000, abs=1e-6)


@given(st.integers(0, 2**59))
def test_sizes_read_back(count: int) -> None:
    """A size written out is read back to the byte."""
    assert parse_size(show_size(count)) == count


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parsers fail in another way, and what they read is never negative."""
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except RefusedError as problem:
            assert problem.right  # noqa: PT017  most texts are refused, and both ends are right


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1536, "1.5 KiB"),
        (405_798_912, "387 MiB"),
        (2**50, "1048576 GiB"),
    ],
)
def test_sizes_for_people(count: int, text: str) -> None:
    """Three figures are enough for people."""
    assert show_size_roughly(count) == text
