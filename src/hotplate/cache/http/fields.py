"""Fields of a response that decide about caching, besides Cache-Control; read so that a mistake can only cost a hit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from hotplate.cache.http.directives import delta_seconds

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
MOST_VARY = 12  # names in one Vary; a page that needs more of them has no two requests alike

# Fields of a connection, not of a response (RFC 9110, section 7.6.1; RFC 9111, section 3.1), and Age, which the cache
# computes.
_NOT_STORED = frozenset(
    {
        b"age",
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class Vary(NamedTuple):
    """What a response depends on.

    Args:
        names: request fields, lower case, sorted, each once.
        is_star: whether it depends on more than that, or nobody can tell.
    """

    names: tuple[bytes, ...] = ()
    is_star: bool = False


def gathered(fields: Iterable[tuple[bytes, bytes]], wanted: Collection[bytes]) -> dict[bytes, list[bytes]]:
    """Return the lines of the wanted fields, by name, in their order; names in upper case are found as well.

    Example:
        >>> gathered([(b"vary", b"a"), (b"date", b"x"), (b"vary", b"b")], {b"vary"})
        {b'vary': [b'a', b'b']}
    """
    found: dict[bytes, list[bytes]] = {}
    for any_case, value in fields:
        name = any_case.lower()
        if name in wanted:
            found.setdefault(name, []).append(value)
    return found


def vary(lines: Iterable[bytes]) -> Vary:
    """Return what Vary says (RFC 9110, section 12.5.5); a member that is no field's name counts as `*`.

    Example:
        >>> vary([b"Accept-Language, cookie", b"Cookie"])
        Vary(names=(b'accept-language', b'cookie'), is_star=False)
        >>> vary([b"Cookie, *"]).is_star
        True
    """
    names = {part.strip(b" \t").lower() for line in lines for part in line.split(b",")} - {b""}
    if b"*" in names or not all(_TOKEN.fullmatch(name) for name in names):
        return Vary((), is_star=True)
    return Vary(tuple(sorted(names)))


def age(lines: Sequence[bytes]) -> int:
    """Return what Age says: the first member counts, and what is no number is ignored (RFC 9111, section 5.1).

    Example:
        >>> age([b"7200, 0"]), age([b"-1"]), age([b"99999999999"]), age([])
        (7200, 0, 2147483648, 0)
    """
    first = next((part.strip(b" \t") for line in lines for part in line.split(b",") if part.strip(b" \t")), b"")
    return delta_seconds(first) or 0


def storable(fields: Iterable[tuple[bytes, bytes]], withheld: Collection[bytes] = ()) -> list[tuple[bytes, bytes]]:
    """Return the fields that are stored: without those of the connection and those that Connection names.

    Args:
        fields: of a response; their names are stored in lower case.
        withheld: names of further ones to leave out.

    Example:
        >>> storable([(b"connection", b"a"), (b"a", b"1"), (b"b", b"2")])
        [(b'b', b'2')]
    """
    fields = [(name.lower(), value) for name, value in fields]
    left_out = _NOT_STORED.union(withheld)
    nominated = {
        part.strip(b" \t").lower() for name, value in fields if name == b"connection" for part in value.split(b",")
    }
    # Nobody may nominate what the rest of the way depends on (RFC 9110, section 7.6.1).
    left_out |= nominated - {b"cache-control", b"content-type", b"content-encoding", b"vary"}
    return [field for field in fields if field[0] not in left_out]
