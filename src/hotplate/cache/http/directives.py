"""Cache-Control (RFC 9111, section 5.2), read the way that can only cost a hit.

Both forms of an argument are accepted, token and quoted string, for every directive. What is malformed never makes a
response fresher: a number that is none counts as 0, two that differ count as 0 (section 4.2.1: "or the response should
be considered stale"), and a directive that forbids something is heard even in the middle of nonsense.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

MOST_SECONDS = 2**31  # what an overflow counts as (RFC 9111, section 1.2.2)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEMBER = re.compile(rb'[ \t]*(?:(%s)(?:=(%s|"(?:[^"\\]|\\.)*"))?)?[ \t]*(?:,|$)' % (_TOKEN, _TOKEN), re.DOTALL)
_WORD = re.compile(_TOKEN)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NAME = re.compile(_TOKEN)

_FORBIDDING = frozenset({b"no-store", b"no-cache", b"private", b"must-revalidate", b"proxy-revalidate"})
_FLAGS = _FORBIDDING | {b"public", b"must-understand", b"no-transform", b"only-if-cached", b"immutable"}
_LIFETIMES = frozenset({b"max-age", b"s-maxage"})
# What counts where a number comes twice.
_TWICE: dict[bytes, Callable[[int, int], int]] = {
    b"max-age": lambda one, other: one if one == other else 0,
    b"s-maxage": lambda one, other: one if one == other else 0,
    b"stale-while-revalidate": min,
    b"stale-if-error": min,
    b"max-stale": min,
    b"min-fresh": max,
}
_LONGEST_KEPT = 256
_LONGEST = 8192


class Directives(NamedTuple):
    """What a Cache-Control field says.

    Args:
        flags: directives without argument; `no-cache` and `private` only where they are about the whole response.
        seconds: those with a number of seconds, from 0 to 2^31.
        not_cached: names of the fields that `no-cache="..."` is about, lower case.
        not_shared: names of the fields that `private="..."` is about, lower case.
    """

    flags: frozenset[bytes] = frozenset()
    seconds: dict[bytes, int] = {}  # noqa: RUF012 - a default that nobody writes to
    not_cached: tuple[bytes, ...] = ()
    not_shared: tuple[bytes, ...] = ()


NONE = Directives()
# What is too long to be read might forbid anything.
_UNREADABLE = Directives(frozenset({b"no-store", b"private", b"no-cache"}))


def delta_seconds(value: bytes) -> int | None:
    """Return a number of seconds, at most 2^31; None for what is none (RFC 9111, section 1.2.2).

    Example:
        >>> delta_seconds(b"0060"), delta_seconds(b"99999999999"), delta_seconds(b"-1"), delta_seconds(b"1.5")
        (60, 2147483648, None, None)
    """
    if not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return min(MOST_SECONDS, int(digits or b"0")) if len(digits) <= 10 else MOST_SECONDS


def parse(lines: list[bytes]) -> Directives:
    """Return what the lines of a Cache-Control field say together; never fails.

    Args:
        lines: values of all lines of the field, in their order.

    Example:
        >>> parse([b'max-age="60", No-Cache="set-cookie"', b"public"])
        Directives(flags=frozenset({b'public'}), seconds={b'max-age': 60}, not_cached=(b'set-cookie',), not_shared=())
    """
    value = lines[0] if len(lines) == 1 else b", ".join(lines)
    if len(value) <= _LONGEST_KEPT:
        return _remembered(value)
    return _parse(value) if len(value) <= _LONGEST else _UNREADABLE


@lru_cache(maxsize=256)
def _remembered(value: bytes) -> Directives:
    return _parse(value)


def _parse(value: bytes) -> Directives:
    reading = _Reading()
    place = 0
    while place < len(value):
        member = _MEMBER.match(value, place)
        if member is None:
            end = value.find(b",", place)
            end = end if end >= 0 else len(value)
            reading.nonsense(value[place:end])
            place = end + 1
            continue
        if member[1] is not None:
            reading.directive(member[1].lower(), member[2])
        place = member.end()
    return reading.directives()


class _Reading:
    """Gathers directives, one after the other."""

    def __init__(self) -> None:
        self.flags: set[bytes] = set()
        self.seconds: dict[bytes, int] = {}
        self.names: dict[bytes, list[bytes]] = {b"no-cache": [], b"private": []}
        self.is_torn = False

    def directive(self, name: bytes, argument: bytes | None) -> None:
        """Take in a well-formed one; `argument` as it was sent, quotes included."""
        if name in _TWICE:
            self._number(name, argument)
        elif name in self.names and argument is not None:
            names = [part.strip(b" \t").lower() for part in _plain(argument).split(b",")]
            if all(_NAME.fullmatch(part) for part in names):
                self.names[name] += names
            else:
                self.flags.add(name)
        elif name in _FLAGS:
            self.flags.add(name)

    def _number(self, name: bytes, argument: bytes | None) -> None:
        if argument is None:
            seconds = MOST_SECONDS if name == b"max-stale" else 0
        else:
            seconds = delta_seconds(_plain(argument)) or 0
        before = self.seconds.get(name)
        self.seconds[name] = seconds if before is None else _TWICE[name](before, seconds)

    def nonsense(self, text: bytes) -> None:
        """Take in what has no form: it can forbid, and spoil a number, no more."""
        words = {word.lower() for word in _WORD.findall(text)}
        self.flags |= words & _FORBIDDING
        self.seconds |= dict.fromkeys(words & _LIFETIMES, 0)
        self.is_torn = self.is_torn or b'"' in text

    def directives(self) -> Directives:
        """Return all of them; where a quoted string does not end, nobody knows what stands in it."""
        if self.is_torn:
            self.seconds |= dict.fromkeys(self.seconds.keys() & _LIFETIMES, 0)
            self.flags.discard(b"public")
        names = self.names
        return Directives(frozenset(self.flags), self.seconds, tuple(names[b"no-cache"]), tuple(names[b"private"]))


def _plain(argument: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", argument[1:-1]) if argument.startswith(b'"') else argument
