"""May a response be stored, and what is remembered of it (RFC 9111, sections 3, 4.2 and 4.3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hotplate.cache import dates, directives, fields, structured
from hotplate.cache.asking import Passage
from hotplate.cache.directives import MOST_SECONDS, Directives
from hotplate.cache.entry import Entry
from hotplate.cache.profile import UNDERSTOOD, Profile, Rule
from hotplate.cache.reasons import Reason

MOST_TAGS = 256  # every tag of a response is checked on every hit

_READ = frozenset(
    {
        b"age",
        b"cache-control",
        b"cache-groups",
        b"date",
        b"etag",
        b"expires",
        b"last-modified",
        b"pragma",
        b"set-cookie",
        b"set-cookie2",
        b"vary",
    }
)
# They answer a condition, an expectation or the framing of one request, and mean nothing for the next.
_OF_ONE_REQUEST = frozenset({304, 412, 416, 417, 426, 431})
# Heuristically cacheable (RFC 9110, section 15.1), 206 left out.
_HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_KEPT_BY_304 = frozenset({b"content-length", b"content-encoding", b"content-range"})


class Response(NamedTuple):
    """What a response says before its body.

    Args:
        status: its status.
        fields: with lower-case names.
        now: wall-clock seconds when it arrived.
        cost: seconds it took.
        tags: what it can be invalidated by, as the app said while it made it.
    """

    status: int
    fields: Sequence[tuple[bytes, bytes]]
    now: float
    cost: float = 0.0
    tags: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """Why a response is not stored.

    Args:
        reason: with words in `reason.text`.
        seconds: for which the next requests for this URL are not to wait for each other (hit-for-miss); 0 for none:
            the reason is this one request's.
    """

    reason: Reason
    seconds: float = 0.0


class _Read(NamedTuple):
    """A response, read."""

    status: int
    lines: dict[bytes, list[bytes]]
    control: Directives
    is_targeted: bool
    now: float
    date: float
    modified: float
    rule: Rule | None

    @property
    def has_validator(self) -> bool:
        return bool(self.modified or self.lines.get(b"etag"))


def judge(passage: Passage, response: Response, profile: Profile, rule: Rule | None = None) -> Entry | Refused:
    """Return what to remember of a response, or why nothing; its key and body are added by `finish`.

    Args:
        passage: of its request.
        response: up to its body.
        profile: what is allowed.
        rule: what else is said of it, by a route or the view.

    Example:
        >>> from hotplate.cache.asking import PLAIN
        >>> from hotplate.cache.profile import safe
        >>> judge(PLAIN, Response(200, [(b"cache-control", b"max-age=60")], 1000.0), safe()).lifetime
        60.0
        >>> judge(PLAIN, Response(200, [(b"set-cookie", b"a=b"), (b"expires", b"0")], 1000.0), safe()).reason
        <Reason.SET_COOKIE: 'set-cookie'>
    """
    if not passage.store:
        return Refused(passage.reason)
    read = _read(response, profile, rule)
    vary = fields.vary(read.lines.get(b"vary", ()))
    names = tuple(sorted({*vary.names, *rule.vary})) if rule else vary.names
    tags = tuple(dict.fromkeys((*structured.groups(read.lines.get(b"cache-groups", ())), *response.tags)))
    tags = tuple(dict.fromkeys((*tags, *rule.tags))) if rule else tags
    entry = _entry(read, response, profile, names, tags)
    reason = (
        _forbidden(read, profile)
        or (Reason.VARY_STAR if vary.is_star else Reason.NONE)
        or (Reason.VARY_MANY if len(names) > fields.MOST_VARY else Reason.NONE)
        or (Reason.TAGS if len(tags) > MOST_TAGS else Reason.NONE)
        or _not_for_others(read, passage, entry, profile)
        or _not_fresh(read, entry, profile)
    )
    if not reason:
        return entry
    return Refused(reason, _marked(reason, response.status, profile))


def _marked(reason: Reason, status: int, profile: Profile) -> float:
    if reason in {Reason.AUTHORIZATION, Reason.COOKIE, Reason.PARTIAL, Reason.CONDITIONAL}:
        return 0.0
    return profile.marker_error if status >= 500 else profile.marker


def _read(response: Response, profile: Profile, rule: Rule | None) -> _Read:
    lines = fields.gathered(response.fields, _READ.union(profile.targets))
    now = response.now
    said = (structured.targeted(lines[name]) for name in profile.targets if name in lines)
    targeted = next((found for found in said if found is not None), None)
    control = directives.parse(lines[b"cache-control"]) if b"cache-control" in lines else directives.NONE
    if targeted is not None:
        if not profile.must_understand:
            # What is forbidden to everyone stays so: an app may set the one field without knowing of the other.
            forbidden = control.flags & {b"no-store", b"private"} | ({b"private"} if control.not_shared else set())
            targeted = targeted._replace(flags=targeted.flags | forbidden)
        control = targeted
    return _Read(
        response.status,
        lines,
        control,
        targeted is not None,
        now,
        _date(lines.get(b"date", ()), now) or now,
        _date(lines.get(b"last-modified", ()), now) or 0.0,
        rule,
    )


def _date(lines: Iterable[bytes], now: float) -> float | None:
    """Return the date that all lines of a field agree in."""
    found = {dates.read(line, now) for line in lines}
    return found.pop() if len(found) == 1 else None


def _forbidden(read: _Read, profile: Profile) -> Reason:
    """Return why nobody may have it stored."""
    status, flags = read.status, read.control.flags
    if status == 206:
        return Reason.PARTIAL
    if status in _OF_ONE_REQUEST:
        return Reason.CONDITIONAL
    if status < 200 or (profile.statuses is not None and status not in profile.statuses):
        return Reason.STATUS
    if b"must-understand" in flags and profile.must_understand:
        if status not in UNDERSTOOD:
            return Reason.STATUS
    elif b"no-store" in flags:
        return Reason.NO_STORE
    if b"private" in flags or (read.control.not_shared and not profile.must_understand):
        return Reason.PRIVATE
    if not profile.shares_cookies and (b"set-cookie" in read.lines or b"set-cookie2" in read.lines):
        return Reason.SET_COOKIE
    return Reason.NONE


def _not_for_others(read: _Read, passage: Passage, entry: Entry, profile: Profile) -> Reason:
    """Return why what this request was answered may not be given to others (RFC 9111, section 3.5)."""
    flags = read.control.flags
    if passage.has_credentials and not (
        read.rule
        or b"public" in flags
        or b"s-maxage" in read.control.seconds
        or (profile.shares_authorized and b"must-revalidate" in flags)
    ):
        return Reason.AUTHORIZATION
    if passage.is_personal and not passage.has_credentials and not entry.explicit:
        return Reason.COOKIE
    return Reason.NONE


def _not_fresh(read: _Read, entry: Entry, profile: Profile) -> Reason:
    """Return why it could never be used."""
    if profile.keeps_stale and read.has_validator:
        return Reason.NONE
    if entry.no_cache:
        return Reason.NO_CACHE
    if entry.age < entry.lifetime + entry.swr:
        return Reason.NONE
    return Reason.STALE if entry.lifetime or _explicit_lifetime(read) is not None else Reason.NO_FRESHNESS


def _entry(read: _Read, response: Response, profile: Profile, vary: tuple[bytes, ...], tags: tuple[str, ...]) -> Entry:
    control, rule = read.control, read.rule
    flags, seconds = control.flags, control.seconds
    must = bool(flags & {b"must-revalidate", b"proxy-revalidate"}) or b"s-maxage" in seconds
    no_cache = b"no-cache" in flags
    age = _age(read, response.cost, profile)
    lifetime, swr, sie = _lifetimes(read, age, profile)
    if must or no_cache:
        swr = sie = 0.0
    stored = fields.storable(response.fields, (*control.not_cached, *control.not_shared))
    if b"date" not in read.lines:
        stored.append((b"date", dates.write(read.now)))  # RFC 9110, section 6.6.1
    return Entry(
        b"",
        response.status,
        tuple(stored),
        received=read.now,
        age=age,
        lifetime=lifetime,
        swr=swr,
        sie=sie,
        must_revalidate=must,
        no_cache=no_cache,
        explicit=bool(
            rule or b"public" in flags or b"s-maxage" in seconds or (read.is_targeted and b"max-age" in seconds)
        ),
        date=read.date,
        etag=read.lines.get(b"etag", [b""])[0].strip(b" \t"),
        modified=read.modified,
        vary=vary,
        tags=tags,
        cost=max(0.0, response.cost),
    )


def _age(read: _Read, cost: float, profile: Profile) -> float:
    """Return the age on arrival (RFC 9111, section 4.2.3)."""
    said = read.lines.get(b"age")
    delay = max(0.0, cost) if said or profile.counts_delay else 0.0
    apparent = max(0.0, read.now - read.date)
    return min(float(MOST_SECONDS), max(apparent, fields.age(said or ()) + delay))


def _lifetimes(read: _Read, age: float, profile: Profile) -> tuple[float, float, float]:
    """Return seconds of freshness, counted in its age, and of staleness in a refresh and in place of an error."""
    seconds, rule = read.control.seconds, read.rule
    lifetime = _explicit_lifetime(read)
    swr = float(seconds.get(b"stale-while-revalidate", 0))
    sie = float(seconds.get(b"stale-if-error", 0))
    is_said = b"s-maxage" in seconds or read.is_targeted or (lifetime is not None and rule and rule.is_default)
    if rule and not is_said:
        ttl, rule_swr, rule_sie = rule.seconds()
        # In its own age, so that it is fresh for that long from now on.
        return min(float(MOST_SECONDS), ttl + age), swr or rule_swr, sie or rule_sie
    if lifetime is None:
        lifetime = _heuristic_lifetime(read, profile)
    if rule:
        swr, sie = swr or rule.seconds()[1], sie or rule.seconds()[2]
    return lifetime, swr, sie


def _explicit_lifetime(read: _Read) -> float | None:
    """Return seconds of freshness by section 4.2.1, None where the response says nothing of it."""
    seconds = read.control.seconds
    for name in (b"s-maxage", b"max-age"):
        if name in seconds:
            return float(seconds[name])
    if read.is_targeted or b"expires" not in read.lines:
        return None
    expires = _date(read.lines[b"expires"], read.now)
    # Invalid dates, "0" above all, are in the past (section 5.3).
    return 0.0 if expires is None else min(float(MOST_SECONDS), max(0.0, expires - read.date))


def _heuristic_lifetime(read: _Read, profile: Profile) -> float:
    if not profile.heuristic or not read.modified or read.is_targeted:
        return 0.0
    if read.status not in _HEURISTIC and b"public" not in read.control.flags:
        return 0.0
    return min(profile.heuristic_most, max(0.0, read.date - read.modified) * profile.heuristic)


def finish(entry: Entry, full: bytes, body: bytes) -> Entry | Refused:
    """Return `entry` with its key and body, unless that is not the whole body.

    Args:
        entry: from `judge`.
        full: of its key.
        body: as the app sent it.

    Example:
        >>> finish(Entry(b"", 200, ((b"content-length", b"2"),)), b"key", b"a").reason
        <Reason.LENGTH: 'length'>
    """
    length = b"%d" % len(body)
    if any(value.strip() != length for name, value in entry.fields if name == b"content-length"):
        return Refused(Reason.LENGTH)
    return msgspec.structs.replace(entry, full=full, body=body)


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
        >>> from hotplate.cache.asking import PLAIN
        >>> from hotplate.cache.profile import safe
        >>> stored = Entry(b"key", 200, ((b"cache-control", b"max-age=60"), (b"a", b"1")), b"hello")
        >>> freshen(stored, Response(304, [(b"a", b"2")], 1000.0), PLAIN, safe()).entry.fields[:2]
        ((b'cache-control', b'max-age=60'), (b'a', b'2'))
    """
    new = fields.storable(response.fields)
    if not _selects(new, entry):
        return Freshened(None)
    replaced = {name for name, _ in new} - _KEPT_BY_304
    # Neither an old Age nor an old Date says anything of a response that was validated now.
    kept = [field for field in entry.fields if field[0] not in replaced and field[0] != b"date"]
    merged = [*kept, *(field for field in new if field[0] not in _KEPT_BY_304)]
    ages = [field for field in response.fields if field[0] == b"age"]
    whole = response._replace(
        status=entry.status, fields=[*merged, *ages], cost=entry.cost, tags=(*entry.tags, *response.tags)
    )
    found = judge(msgspec.structs.replace(passage, store=True), whole, profile, rule)
    if isinstance(found, Entry):
        again = msgspec.structs.replace(found, full=entry.full, body=entry.body, coding=entry.coding)
        return Freshened(again, None if passage.store else Refused(passage.reason))
    return Freshened(msgspec.structs.replace(entry, fields=tuple(merged), received=response.now, age=0.0), found)


def _selects(new: list[tuple[bytes, bytes]], entry: Entry) -> bool:
    """Whether a 304 is about `entry`: what validator it has is that one's."""
    etags = [value.strip(b" \t") for name, value in new if name == b"etag"]
    if not etags or not entry.etag:
        return True
    return all(etag.removeprefix(b"W/") == entry.etag.removeprefix(b"W/") for etag in etags)


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


def keep_seconds(entry: Entry, profile: Profile, now: float) -> float:
    """Return for how long an entry is of any use, for `Store.put`.

    Example:
        >>> from hotplate.cache.profile import safe
        >>> keep_seconds(Entry(b"key", 200, received=1000.0, age=10.0, lifetime=60.0, swr=30.0), safe(), 1000.0)
        80.0
    """
    stale = max(entry.swr, entry.sie, profile.keep if entry.etag or entry.modified else 0.0)
    age = entry.age + max(0.0, now - entry.received)
    return max(0.0, entry.lifetime - age) + stale if entry.lifetime >= age else max(0.0, entry.lifetime + stale - age)
