"""Cache-Control is read so that a mistake can cost a hit, and never make a response fresher."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotplate.cache.http.directives import MOST_SECONDS, Directives, delta_seconds, parse

SECONDS: dict[bytes, int | None] = {
    b"0": 0, b"60": 60, b"0060": 60, b"2147483647": 2147483647, b"2147483648": MOST_SECONDS,
    b"2147483649": MOST_SECONDS, b"99999999999": MOST_SECONDS, b"9" * 5000: MOST_SECONDS, b"0" * 5000 + b"1": 1,
    b"": None, b"-1": None, b"+1": None, b"1.0": None, b"1.5": None, b"a1": None, b"1a": None, b" 1": None,
    b"1e3": None, b"0x10": None, b"1_000": None, "٣".encode(): None, b"'1'": None, b"inf": None,
}  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), SECONDS.items(), ids=lambda value: repr(value)[:30])
def test_numbers_of_seconds(value: bytes, seconds: int | None) -> None:
    """Digits are a number, 2^31 at most; nothing else is one."""
    assert delta_seconds(value) == seconds


def said(*flags: str, **seconds: int) -> Directives:
    """Return directives by their names."""
    numbers = {name.replace("_", "-").encode(): number for name, number in seconds.items()}
    return Directives(frozenset(flag.encode() for flag in flags), numbers)


FIELDS: dict[bytes, Directives] = {
    b"": said(),
    b" , ,, ": said(),
    b"max-age=60": said(max_age=60),
    b"public, max-age=60": said("public", max_age=60),
    b"PUBLIC,MaX-aGe=60": said("public", max_age=60),
    b" \tpublic\t ,\tmax-age=60 ": said("public", max_age=60),
    b'max-age="60"': said(max_age=60),
    b'max-age="6\\0"': said(max_age=60),
    b"s-maxage=1, max-age=2": said(s_maxage=1, max_age=2),
    b"foobar, max-age=60": said(max_age=60),
    b'foo="bar, baz", max-age=60': said(max_age=60),
    b'foo="b\\"ar, no-store", max-age=60': said(max_age=60),
    b"stale-while-revalidate=30, stale-if-error=40": said(stale_while_revalidate=30, stale_if_error=40),
    b"max-stale": said(max_stale=MOST_SECONDS),
    b"max-stale=5, min-fresh=6": said(max_stale=5, min_fresh=6),
    # What is no number is 0.
    b"max-age": said(max_age=0),
    b"max-age=": said(max_age=0),
    b"max-age=-60": said(max_age=0),
    b"max-age=60.0": said(max_age=0),
    b"max-age=a60": said(max_age=0),
    b"max-age=60a": said(max_age=0),
    b"max-age='60'": said(max_age=0),
    b"max-age =60": said(max_age=0),
    b"max-age= 60": said(max_age=0),
    b'max-age=" 60"': said(max_age=0),
    b"max-age:60": said(max_age=0),
    b"max-age=60;public": said(max_age=0),
    b"max-age=60 public": said(max_age=0),
    b"s-maxage=x, max-age=60": said(s_maxage=0, max_age=60),
    # Twice.
    b"max-age=60, max-age=60": said(max_age=60),
    b"max-age=1800, max-age=1": said(max_age=0),
    b"max-age=1, max-age=1800": said(max_age=0),
    b"max-age=60, max-age=60, max-age=61": said(max_age=0),
    b"s-maxage=1, s-maxage=2, max-age=60": said(s_maxage=0, max_age=60),
    b"stale-while-revalidate=30, stale-while-revalidate=20": said(stale_while_revalidate=20),
    b"min-fresh=1, min-fresh=2": said(min_fresh=2),
    # What forbids is heard in the middle of nonsense.
    b"no-store; max-age=60": said("no-store", max_age=0),
    b"private max-age=60": said("private", max_age=0),
    b"public; no-store": said("no-store"),
    b'"no-store"': said("no-store"),
    b'foo="bar, no-store': said("no-store"),
    b"no-store=1": said("no-store"),
    b'no-store="x"': said("no-store"),
    b"=no-store": said("no-store"),
    b"[no-cache], max-age=60": said("no-cache", max_age=60),
    b"no-store\x00, max-age=60": said("no-store", max_age=60),
    # Where a quoted string does not end, what follows may stand inside it.
    b'foo="bar, max-age=60, public': said(max_age=0),
    b'max-age=60, public, foo="bar': said(max_age=0),
    b'foo="a"b, public, max-age=60': said(max_age=0),
    # Field names.
    b'no-cache="Set-Cookie"': Directives(not_cached=(b"set-cookie",)),
    b'no-cache="a, B"': Directives(not_cached=(b"a", b"b")),
    b"no-cache=a": Directives(not_cached=(b"a",)),
    b'no-cache="a", no-cache': Directives(frozenset({b"no-cache"}), not_cached=(b"a",)),
    b'no-cache=""': said("no-cache"),
    b'no-cache="a b"': said("no-cache"),
    b'no-cache="a,"': said("no-cache"),
    b'private="x-user"': Directives(not_shared=(b"x-user",)),
    b"private=": said("private"),
}


@pytest.mark.parametrize(("value", "expected"), FIELDS.items(), ids=repr)
def test_fields(value: bytes, expected: Directives) -> None:
    """Each of these means what stands beside it."""
    assert parse([value]) == expected


def test_lines_are_one_field() -> None:
    """Several lines are the same as one with commas, a conflict between them as well."""
    assert parse([b"public", b"max-age=60"]) == said("public", max_age=60)
    assert parse([b"max-age=60", b"max-age=1"]) == said(max_age=0)
    assert parse([b'foo="a', b'b", no-store']) == said("no-store")


def test_what_is_too_long_forbids() -> None:
    """Nobody needs a Cache-Control of 8 KiB; what it says in its middle is not looked for."""
    assert parse([b"public, max-age=60, " + b"a" * 9000]).flags >= {b"no-store", b"private"}


def test_time_is_linear() -> None:
    """Quotes and commas by the thousand are read in one go."""
    for text in (b'a="' * 2700, b'"' * 8000, b"," * 8000, b'a="\\' * 2000, b" " * 8000, b"a=" * 4000):
        parse([text])


NAMES = ["no-store", "private", "no-cache", "max-age", "s-maxage", "public", "x", "must-revalidate"]
PIECES = st.lists(st.sampled_from([*NAMES, ",", "=", '"', "\\", " ", "60", ";", "\t", "é", "-"]), max_size=14)


@given(st.lists(st.one_of(PIECES.map("".join).map(str.encode), st.binary(max_size=40)), max_size=3))
@example([b'"'])
def test_nothing_fails(lines: list[bytes]) -> None:
    """No bytes lead to anything but numbers within their bounds."""
    found = parse(lines)
    assert all(0 <= number <= MOST_SECONDS for number in found.seconds.values())


@given(PIECES.map("".join).map(str.encode), st.sampled_from([b"no-store", b"private", b"no-cache"]), PIECES)
def test_what_forbids_is_heard_whatever_stands_around_it(before: bytes, word: bytes, after: list[str]) -> None:
    """A directive that forbids, as a member of its own, counts; unless a quoted string that ends holds it."""
    if b'"' in before or b"\\" in before:
        return
    lines = [before + b"," + word + b"," + "".join(after).encode()]
    assert word in parse(lines).flags


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_two_numbers_that_differ_are_none(one: int, other: int) -> None:
    """Of two ages, the response has neither."""
    found = parse([b"max-age=%d" % one, b"max-age=%d" % other]).seconds[b"max-age"]
    assert found == (min(one, MOST_SECONDS) if min(one, MOST_SECONDS) == min(other, MOST_SECONDS) else 0)
