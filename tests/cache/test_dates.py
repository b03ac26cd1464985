"""Dates are read in the three forms of RFC 9110, section 5.6.7, and in no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http import dates

NOW = 1_795_000_000.0  # in November 2026

DATES = {
    b"Sun, 06 Nov 1994 08:49:37 GMT": 784111777.0,
    b"Sunday, 06-Nov-94 08:49:37 GMT": 784111777.0,
    b"Sun Nov  6 08:49:37 1994": 784111777.0,
    b"Sun Nov 16 08:49:37 1994": 784975777.0,
    b"  Sun, 06 Nov 1994 08:49:37 GMT\t": 784111777.0,
    b"SUN, 06 NOV 1994 08:49:37 gmt": 784111777.0,
    b"Thursday, 18-Aug-50 02:01:18 GMT": 2544400878.0,
    b"Thursday, 18-Aug-76 02:01:18 GMT": 3364941678.0,  # 50 years ahead is still ahead
    b"Thursday, 18-Aug-77 02:01:18 GMT": 240717678.0,  # more than 50 years ahead is in the past
    b"Thu Aug  8 02:01:18 2050": 2543536878.0,
    b"Sun, 21 Nov 2286 04:46:39 GMT": 10000039599.0,
    b"Sat, 31 Dec 2016 23:59:60 GMT": 1483228800.0,  # a leap second
    b"Mon, 06 Nov 1994 08:49:37 GMT": 784111777.0,  # of the wrong day of the week, which says nothing
    b"Thu, 01 Jan 1970 00:00:00 GMT": 0.0,
    b"Fri, 29 Feb 2024 12:00:00 GMT": 1709208000.0,
}

NO_DATES = [
    b"", b"0", b"-1", b"1795000000", b"now", b"foo", b"Sun, 06 Nov 1994", b"Sun, 06 Nov 1994 08:49:37",
    b"Sun, 06 Nov 1994 08:49:37 UTC", b"Sun, 06 Nov 1994 08:49:37 AEST", b"Sun, 06 Nov 1994 08:49:37 +0000",
    b"Sun, 06 Nov 94 08:49:37 GMT", b"Sun 06 Nov 1994 08:49:37 GMT", b"Sun, 06  Nov  1994 08:49:37 GMT",
    b"Sun, 06-Nov-1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08.49.37 GMT", b"Sun, 06 Nov 1994 8:49:37 GMT",
    b"Sun, 6 Nov 1994 08:49:37 GMT", b"Sun, 31 Feb 1994 08:49:37 GMT", b"Fri, 29 Feb 2023 12:00:00 GMT",
    b"Sun, 00 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 24:00:00 GMT", b"Sun, 06 Nov 1994 08:60:37 GMT",
    b"Sun, 06 Nov 1994 08:49:61 GMT", b"Sun, 06 Nov 0000 08:49:37 GMT", b"Sun, 06 Foo 1994 08:49:37 GMT",
    b"Sunday, 06 Nov 1994 08:49:37 GMT", b"Sun, 06-Nov-94 08:49:37 GMT", b"Sun Nov 6 08:49:37 1994",
    b"Sun Nov 06 08:49:37 1994 GMT", b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    b"\xff" * 29, "Sun, ٠٦ Nov 1994 08:49:37 GMT".encode(), b"x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), DATES.items(), ids=repr)
def test_dates(value: bytes, seconds: float) -> None:
    """The three forms are read, in any case."""
    assert dates.read(value, NOW) == seconds


@pytest.mark.parametrize("value", NO_DATES, ids=lambda value: repr(value)[:60])
def test_what_is_no_date(value: bytes) -> None:
    """What is nearly a date is none: who sends it may mean any time."""
    assert dates.read(value, NOW) is None


@given(st.integers(min_value=-62_135_596_800, max_value=253_402_300_799))
def test_what_is_written_is_read(seconds: int) -> None:
    """Every second from the year 1 to 9999 survives being written and read."""
    written = dates.write(seconds)
    assert len(written) == 29
    assert dates.read(written, NOW) == seconds


@given(st.binary(max_size=60), st.floats())
def test_nothing_fails(value: bytes, now: float) -> None:
    """No bytes, and no clock, lead to anything but a number or None."""
    found = dates.read(value, now)
    assert found is None or isinstance(found, float)
