"""Structured fields count where they are well-formed, and else are not there; what forbids is heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http import structured
from hotplate.cache.http.directives import MOST_SECONDS, Directives

TARGETED: dict[tuple[bytes, ...], Directives | None] = {
    (b"max-age=60",): Directives(seconds={b"max-age": 60}),
    (b"max-age=60, public",): Directives(frozenset({b"public"}), {b"max-age": 60}),
    (b"max-age=60", b"must-revalidate"): Directives(frozenset({b"must-revalidate"}), {b"max-age": 60}),
    (b"max-age=60;a=b, foo",): Directives(frozenset({b"foo"}), {b"max-age": 60}),
    (b"max-age=99999999999",): Directives(seconds={b"max-age": MOST_SECONDS}),
    (b"max-age=-60",): Directives(seconds={b"max-age": 0}),
    (b"max-age=1, max-age=60",): Directives(seconds={b"max-age": 60}),  # the last one, as RFC 9651 has it
    (b"no-store",): Directives(frozenset({b"no-store"})),
    (b"no-store=?0",): Directives(frozenset({b"no-store"})),
    (b"private=1",): Directives(frozenset({b"private"})),
    (b'no-cache="Set-Cookie, a"',): Directives(not_cached=(b"set-cookie", b"a")),
    (b'private="a"',): Directives(not_shared=(b"a",)),
    (b'no-cache=""',): Directives(frozenset({b"no-cache"})),
    # Ignored.
    (): None,
    (b"",): None,
    (b"  ",): None,
    (b"max-age=60, &&&&&",): None,
    (b"MaX-aGe=60",): None,
    (b"max-age =60",): None,
    (b"max-age= 60",): None,
    (b"max-age=60,",): None,
    (b'max-age="60"',): None,
    (b"max-age=60.5",): None,
    (b"max-age",): None,
    (b"max-age=(60)",): None,
    (b"s-maxage=x, max-age=60",): None,
    (b"max-age=\xff",): None,
    (b"a" * 20000,): None,
    # Not ignored: it forbids something, too.
    (b'max-age="60", no-store',): Directives(frozenset({b"no-store"})),
}


@pytest.mark.parametrize(("lines", "expected"), TARGETED.items(), ids=lambda value: repr(value)[:50])
def test_targeted(lines: tuple[bytes, ...], expected: Directives | None) -> None:
    """A dictionary of the right types counts, anything else is ignored (RFC 9213, section 2.1)."""
    assert structured.targeted(lines) == expected


GROUPS: dict[tuple[bytes, ...], tuple[str, ...]] = {
    (b'"a"',): ("a",),
    (b'"a", "B" , "a"',): ("a", "B"),
    (b'"a"', b'"b"'): ("a", "b"),
    (b'"a";x=1',): ("a",),
    (b'"a b, \\"c\\""',): ('a b, "c"',),
    (b'""',): ("",),
    (): (),
    (b"a",): (),
    (b'"a", b',): (),
    (b'"a", 1',): (),
    (b'("a" "b")',): (),
    (b'"a"; "b"',): (),
    (b'"a',): (),
    ('"ä"'.encode(),): (),
}


@pytest.mark.parametrize(("lines", "expected"), GROUPS.items(), ids=repr)
def test_groups(lines: tuple[bytes, ...], expected: tuple[str, ...]) -> None:
    """A list of strings counts, anything else is ignored (RFC 9875, section 2)."""
    assert structured.groups(lines) == expected


def test_many_groups() -> None:
    """All of 32 groups of 32 characters count, which is the least that RFC 9875 asks for."""
    names = [f"{number:032}" for number in range(32)]
    assert structured.groups([", ".join(f'"{name}"' for name in names).encode()]) == tuple(names)


@given(st.lists(st.one_of(st.binary(max_size=30), st.text('max-age="(),;=01? ', max_size=20).map(str.encode))))
def test_nothing_fails(lines: list[bytes]) -> None:
    """No bytes lead to anything but numbers within bounds and strings."""
    found = structured.targeted(lines)
    assert found is None or all(0 <= number <= MOST_SECONDS for number in found.seconds.values())
    assert all(isinstance(group, str) for group in structured.groups(lines))
