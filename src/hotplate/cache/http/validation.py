"""How a stored response is asked after, and what a 304 makes of it (RFC 9111, sections 3.2, 4.3.1 and 4.3.4)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hotplate.cache.entry import Entry
from hotplate.cache.http import fields
from hotplate.cache.http.asking import Passage
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.profile import Profile, Rule
from hotplate.cache.http.storing import Refused, judge

# They describe the stored body, whatever a 304 says of another (section 3.2).
_KEPT = frozenset({b"content-encoding", b"content-length", b"content-range"})


class Freshened(NamedTuple):
    """What a 304 made of an entry.

    Args:
        entry: with the fields of both, to answer with; None where the 304 is about another response: ask again,
            without conditions.
        refused: why it is not to be kept any longer; None where it is.
    """

    entry: Entry | None
    refused: Refused | None = None


def freshen(
    entry: Entry, response: Response, passage: Passage, profile: Profile, rule: Rule | None = None
) -> Freshened:
    """Return what a 304 to our own conditions makes of an entry (RFC 9111, sections 3.2 and 4.3.4).

    Args:
        entry: that the conditions were from.
        response: the 304.
        passage: of the request that was sent.
        profile: what is allowed.
        rule: what else is said of it, by a route or the view.

    Example:
        >>> from hotplate.cache.http.asking import PLAIN
        >>> from hotplate.cache.http.profile import safe
        >>> stored = Entry(b"key", 200, ((b"cache-control", b"max-age=60"), (b"a", b"1")), b"hello")
        >>> freshen(stored, Response(304, [(b"a", b"2")], 1000.0), PLAIN, safe()).entry.fields[:2]
        ((b'cache-control', b'max-age=60'), (b'a', b'2'))
    """
    new = fields.storable(response.fields)
    if not _selects(new, entry):
        return Freshened(None)
    replaced = {name for name, _ in new} - _KEPT
    # An old Date says nothing of a response that was validated now.
    kept = [field for field in entry.fields if field[0] not in replaced and field[0] != b"date"]
    merged = [*kept, *(field for field in new if field[0] not in _KEPT)]
    ages = [field for field in response.fields if field[0].lower() == b"age"]
    whole = response._replace(status=entry.status, fields=[*merged, *ages], tags=(*entry.tags, *response.tags))
    found = judge(msgspec.structs.replace(passage, store=True), whole, profile, rule)
    if isinstance(found, Entry):
        again = msgspec.structs.replace(
            found, full=entry.full, body=entry.body, coding=entry.coding, cost=max(entry.cost, found.cost)
        )
        return Freshened(again, None if passage.store else Refused(passage.reason))
    return Freshened(msgspec.structs.replace(entry, fields=tuple(merged), received=response.now, age=0.0), found)


def _selects(new: list[tuple[bytes, bytes]], entry: Entry) -> bool:
    """Whether a 304 is about `entry`: its entity tag, or else its Last-Modified, is that one's.

    One that has neither is about what was asked for. What is about another response updates nothing (section 4.3.4).
    """
    etags = [value.strip(b" \t").removeprefix(b"W/") for name, value in new if name == b"etag"]
    if etags:
        return all(etag == entry.etag.removeprefix(b"W/") for etag in etags)
    dated = {value.strip(b" \t") for name, value in new if name == b"last-modified"}
    return not dated or dated == {value.strip(b" \t") for name, value in entry.fields if name == b"last-modified"}


def revalidation_fields(entry: Entry) -> list[tuple[bytes, bytes]]:
    """Return the request fields that ask whether an entry is still good; none where it has no validator.

    Example:
        >>> revalidation_fields(Entry(b"key", 200, etag=b'"x"'))
        [(b'if-none-match', b'"x"')]
    """
    found = [(b"if-none-match", entry.etag)] if entry.etag else []
    if entry.modified:
        # Letter by letter as the app sent it: some compare the text.
        found += [(b"if-modified-since", value) for name, value in entry.fields if name == b"last-modified"][:1]
    return found
