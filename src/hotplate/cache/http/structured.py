"""Structured fields about caching: targeted Cache-Control (RFC 9213) and Cache-Groups (RFC 9875).

What cannot be parsed is as if it were not there, as both RFCs say.
"""

from __future__ import annotations

from collections.abc import Sequence

from hotplate.cache.http.directives import MOST_SECONDS, Directives

_SECONDS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
_FORBIDDING = frozenset({"no-store", "no-cache", "private"})
_LONGEST = 16384


def targeted(lines: Sequence[bytes]) -> Directives | None:
    """Return what a targeted field such as CDN-Cache-Control says; None where it is to be ignored.

    Args:
        lines: values of all lines of the field.

    Example:
        >>> targeted([b"max-age=60, public"]).seconds
        {b'max-age': 60}
        >>> targeted([b"max-age=60, &&&"])
    """
    members = _parsed(lines, "dictionary")
    if not isinstance(members, dict) or not members:
        return None
    if any(name in members and type(members[name][0]) is not int for name in _SECONDS):
        # Of a wrong type, the field is not to be believed; but what forbids something stays forbidden.
        members = {name: member for name, member in members.items() if name in _FORBIDDING}
        if not members:
            return None
    seconds = {name.encode(): max(0, min(MOST_SECONDS, members[name][0])) for name in _SECONDS & members.keys()}
    not_cached = _names(members.get("no-cache"))
    not_shared = _names(members.get("private"))
    flags = {name.encode() for name in members.keys() - _SECONDS}
    flags -= {b"no-cache"} if not_cached else set()
    flags -= {b"private"} if not_shared else set()
    return Directives(frozenset(flags), seconds, not_cached, not_shared)


def groups(lines: Sequence[bytes]) -> tuple[str, ...]:
    """Return the members of Cache-Groups or Cache-Group-Invalidation (RFC 9875, section 2); none where it is malformed.

    Example:
        >>> groups([b'"articles", "front"'])
        ('articles', 'front')
        >>> groups([b"articles"])
        ()
    """
    members = _parsed(lines, "list")
    if not isinstance(members, list) or not all(type(member[0]) is str for member in members):
        return ()
    return tuple(dict.fromkeys(str(member[0]) for member in members))


def _names(member: object) -> tuple[bytes, ...]:
    """Return the field names of a member such as `no-cache="set-cookie"`; none where it is about everything."""
    value = member[0] if isinstance(member, tuple) else None
    if type(value) is not str:
        return ()
    return tuple(name.strip().lower().encode() for name in value.split(",") if name.strip())


def _parsed(lines: Sequence[bytes], kind: str) -> object:
    value = b", ".join(lines)
    if not value.strip(b" \t,") or len(value) > _LONGEST:
        return None
    import http_sf  # nearly no response has such a field, and importing it takes 40 ms

    try:
        return http_sf.parse(value, tltype=kind)
    except ValueError:  # StructuredFieldError is one, and so is a byte that is not ASCII
        return None
