"""Vary, Age and the fields of a connection are read on the safe side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http import fields
from hotplate.cache.http.directives import MOST_SECONDS
from hotplate.cache.http.fields import Vary

VARY = {
    (): Vary(),
    (b"",): Vary(),
    (b", ,",): Vary(),
    (b"Cookie",): Vary((b"cookie",)),
    (b"b, A ,b",): Vary((b"a", b"b")),
    (b"b", b"A"): Vary((b"a", b"b")),
    (b"*",): Vary((), is_star=True),
    (b"*, *",): Vary((), is_star=True),
    (b"", b"*"): Vary((), is_star=True),
    (b", *",): Vary((), is_star=True),
    (b"*, Foo",): Vary((), is_star=True),
    (b"Foo, *",): Vary((), is_star=True),
    (b"Foo", b" * "): Vary((), is_star=True),
    # What is no name might mean anything.
    (b"Foo Bar",): Vary((), is_star=True),
    (b"Foo; Bar",): Vary((), is_star=True),
    (b'"Foo"',): Vary((), is_star=True),
    (b"Foo\x00",): Vary((), is_star=True),
}


@pytest.mark.parametrize(("lines", "expected"), VARY.items(), ids=repr)
def test_vary(lines: tuple[bytes, ...], expected: Vary) -> None:
    """Names count once, in one order; a star anywhere, or what is no name, counts for everything."""
    assert fields.vary(lines) == expected


AGE = {
    (): 0, (b"0",): 0, (b"30",): 30, (b"7200, 0",): 7200, (b"0, 7200",): 0, (b"7200", b"0"): 7200,
    (b"0", b"7200"): 0, (b", 5",): 5, (b"abc",): 0, (b"-7200",): 0, (b"7200.0",): 0, (b"7200;foo=bar",): 0,
    (b"2147483647",): 2147483647, (b"2147483648",): MOST_SECONDS, (b"99999999999",): MOST_SECONDS,
    (b"9" * 5000,): MOST_SECONDS, (b"",): 0,
}  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), AGE.items(), ids=lambda value: repr(value)[:40])
def test_age(lines: tuple[bytes, ...], expected: int) -> None:
    """The first member counts, what is no number is ignored, and there is a most."""
    assert fields.age(lines) == expected


CONNECTION = [
    b"Connection", b"Keep-Alive", b"Proxy-Authenticate", b"Proxy-Authentication-Info", b"Proxy-Authorization",
    b"Proxy-Connection", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade", b"Age",
]  # fmt: skip


@pytest.mark.parametrize("name", CONNECTION)
def test_fields_of_the_connection_are_not_stored(name: bytes) -> None:
    """They were for one connection only, whatever case they are written in."""
    assert fields.storable([(name, b"x"), (b"A", b"1")]) == [(b"a", b"1")]


def test_what_connection_names_is_not_stored() -> None:
    """Connection names further ones, in any case and over several lines; not what the rest of the way depends on."""
    sent = [
        (b"connection", b"A, b"),
        (b"Connection", b"vary,, cache-control"),
        (b"a", b"1"),
        (b"B", b"2"),
        (b"vary", b"c"),
        (b"cache-control", b"public"),
    ]
    assert fields.storable(sent) == [(b"vary", b"c"), (b"cache-control", b"public")]


@given(st.lists(st.binary(max_size=20), max_size=4))
def test_nothing_fails(lines: list[bytes]) -> None:
    """No bytes lead to anything but names and a number within bounds."""
    assert 0 <= fields.age(lines) <= MOST_SECONDS
    found = fields.vary(lines)
    assert list(found.names) == sorted(set(found.names))
    assert not (found.names and found.is_star)
    fields.storable([(b"connection", line) for line in lines])
