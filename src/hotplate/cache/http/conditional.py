"""What a request's conditions mean for a stored response (RFC 9110, section 13; RFC 9111, section 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hotplate.cache.entry import Entry
from hotplate.cache.http import dates
from hotplate.cache.http.etags import held, same


class Conditions(NamedTuple):
    """The fields of a request that may ask for less than the whole response; None for those it lacks."""

    if_match: bytes | None = None
    if_modified_since: bytes | None = None
    if_none_match: bytes | None = None
    if_range: bytes | None = None
    if_unmodified_since: bytes | None = None
    range: bytes | None = None

    @property
    def for_the_app(self) -> bool:
        """Whether only the app can decide: If-Match and If-Unmodified-Since are not for caches (RFC 9111, 4.3.2)."""
        return self.if_match is not None or self.if_unmodified_since is not None


NAMES: dict[bytes, int] = {field.replace("_", "-").encode(): place for place, field in enumerate(Conditions._fields)}
"""Names of the request fields and their place in `Conditions`."""


def conditions(fields: Iterable[tuple[bytes, bytes]]) -> Conditions | None:
    """Return a request's conditions, None where it has none, which is the common case and costs under a microsecond.

    Args:
        fields: with lower-case names.

    Example:
        >>> conditions([(b"host", b"a"), (b"range", b"bytes=0-1")]).range
        b'bytes=0-1'
        >>> conditions([(b"host", b"a")])
    """
    found = [field for field in fields if field[0] in NAMES]
    return _gathered(found) if found else None


def _gathered(found: list[tuple[bytes, bytes]]) -> Conditions:
    values: list[bytes | None] = [None] * len(NAMES)
    for name, value in found:
        place = NAMES[name]
        before = values[place]
        # Lists may come in several lines. Of the others there is one; several joined mean nothing, and are ignored.
        values[place] = value if before is None else before + b", " + value
    return Conditions(*values)


def unchanged(entry: Entry, asked: Conditions, now: float) -> bytes | None:
    """Return the tag for a 304 (empty where there is none), or None where the whole response is due.

    If-None-Match decides where there is one; If-Modified-Since is then not looked at (RFC 9110, section 13.2.2).
    """
    if not 200 <= entry.status < 300:  # section 13.2.1
        return None
    if asked.if_none_match is not None:
        return held(asked.if_none_match, entry.etag)
    if asked.if_modified_since is not None:
        since = dates.read(asked.if_modified_since, now)
        if since is not None and (entry.modified or entry.date or entry.received) <= since:
            return entry.etag
    return None


def takes_range(entry: Entry, asked: Conditions, now: float) -> bool:
    """Whether a Range field counts: If-Range holds, or there is none (RFC 9110, section 13.1.5).

    A tag with a coding's suffix never holds: who has a part of that coding cannot go on with the plain bytes.
    """
    if asked.if_range is None:
        return True
    value = asked.if_range.strip(b" \t")
    if value.endswith(b'"'):
        return same(value, entry.etag)
    since = dates.read(value, now)
    # A date is a strong validator only where it is older than the response by a second (section 8.8.2.2).
    return bool(entry.modified) and since == entry.modified and entry.date - entry.modified >= 1
