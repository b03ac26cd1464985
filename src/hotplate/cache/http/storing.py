"""May a response be stored, and what is remembered of it (RFC 9111, section 3)."""

from __future__ import annotations

import msgspec

from hotplate.cache.entry import Entry
from hotplate.cache.http import dates, fields, freshness, structured
from hotplate.cache.http.asking import Passage
from hotplate.cache.http.directives import MOST_SECONDS
from hotplate.cache.http.freshness import Reading, Response
from hotplate.cache.http.profile import UNDERSTOOD, Profile, Rule
from hotplate.cache.http.reasons import Reason

MOST_TAGS = 256  # every tag of a response is checked on every hit

# They answer a condition, an expectation or the framing of one request, and mean nothing for the next.
_OF_ONE_REQUEST = frozenset({304, 412, 416, 417, 426, 431})
_THIS_REQUEST_S = frozenset({Reason.AUTHORIZATION, Reason.COOKIE, Reason.PARTIAL, Reason.CONDITIONAL})


class Refused(msgspec.Struct, frozen=True):
    """Why a response is not stored.

    Args:
        reason: with words in `reason.text`.
        seconds: for which the next requests for this URL are not to wait for each other (hit-for-miss); 0 for none:
            the reason is this one request's, or one person's.
    """

    reason: Reason
    seconds: float = 0.0


def judge(passage: Passage, response: Response, profile: Profile, rule: Rule | None = None) -> Entry | Refused:
    """Return what to remember of a response, or why nothing; its key and body are added by `finish`.

    Args:
        passage: of its request.
        response: up to its body.
        profile: what is allowed.
        rule: what else is said of it, by a route or the view.

    Example:
        >>> from hotplate.cache.http.asking import PLAIN
        >>> from hotplate.cache.http.profile import safe
        >>> judge(PLAIN, Response(200, [(b"cache-control", b"max-age=60")], 1000.0), safe()).lifetime
        60.0
        >>> judge(PLAIN, Response(200, [(b"set-cookie", b"a=b"), (b"expires", b"0")], 1000.0), safe()).reason
        <Reason.SET_COOKIE: 'set-cookie'>
    """
    if not passage.store:
        return Refused(passage.reason)
    reading = freshness.read(response, profile, rule)
    vary = fields.vary(reading.lines.get(b"vary", ()))
    entry = _entry(reading, response, profile, vary.names)
    reason = (
        _forbidden(reading, profile)
        or (Reason.VARY_STAR if vary.is_star else Reason.NONE)
        or (Reason.VARY_MANY if len(entry.vary) > fields.MOST_VARY else Reason.NONE)
        or (Reason.TAGS if len(entry.tags) > MOST_TAGS else Reason.NONE)
        or _not_for_others(reading, passage, profile)
        or _not_fresh(reading, entry, profile)
    )
    if not reason:
        return entry
    if reason in _THIS_REQUEST_S or passage.is_personal:
        return Refused(reason)
    return Refused(reason, profile.marker_error if response.status >= 500 else profile.marker)


def _forbidden(reading: Reading, profile: Profile) -> Reason:
    """Return why nobody may have it stored."""
    status, flags = reading.status, reading.control.flags
    if status == 206:
        return Reason.PARTIAL
    if status in _OF_ONE_REQUEST:
        return Reason.CONDITIONAL
    if not 200 <= status < 600 or (profile.statuses is not None and status not in profile.statuses):
        return Reason.STATUS
    if b"must-understand" in flags and profile.must_understand:
        if status not in UNDERSTOOD:
            return Reason.STATUS
    elif b"no-store" in flags:
        return Reason.NO_STORE
    if b"private" in flags or (reading.control.not_shared and not profile.must_understand):
        return Reason.PRIVATE
    if not profile.shares_cookies and not reading.lines.keys().isdisjoint((b"set-cookie", b"set-cookie2")):
        return Reason.SET_COOKIE
    return Reason.NONE


def _not_for_others(reading: Reading, passage: Passage, profile: Profile) -> Reason:
    """Return why what this request was answered may not be given to others (RFC 9111, section 3.5)."""
    flags = reading.control.flags
    if passage.has_credentials and not (
        reading.rule
        or b"public" in flags
        or reading.control.seconds.get(b"s-maxage")  # none, where it is malformed
        or (profile.shares_authorized and b"must-revalidate" in flags)
    ):
        return Reason.AUTHORIZATION
    if passage.is_personal and not passage.has_credentials and not reading.is_for_all:
        return Reason.COOKIE
    return Reason.NONE


def _not_fresh(reading: Reading, entry: Entry, profile: Profile) -> Reason:
    """Return why it could never be used."""
    if profile.keeps_stale and reading.has_validator and _is_cacheable(reading):
        return Reason.NONE
    if entry.no_cache:
        return Reason.NO_CACHE
    if entry.age < entry.lifetime + entry.swr:
        return Reason.NONE
    return Reason.STALE if entry.lifetime or freshness.explicit_lifetime(reading) is not None else Reason.NO_FRESHNESS


def _is_cacheable(reading: Reading) -> bool:
    """Whether it says, or its status does, that it may be stored at all (RFC 9111, section 3, the last condition)."""
    return (
        reading.status in freshness.HEURISTIC
        or reading.rule is not None
        or b"public" in reading.control.flags
        or freshness.explicit_lifetime(reading) is not None
    )


def _entry(reading: Reading, response: Response, profile: Profile, vary: tuple[bytes, ...]) -> Entry:
    control, rule = reading.control, reading.rule
    must = bool(control.flags & {b"must-revalidate", b"proxy-revalidate"}) or b"s-maxage" in control.seconds
    no_cache = b"no-cache" in control.flags
    age = freshness.age(reading, response.cost, profile)
    lifetime, swr, sie = freshness.lifetimes(reading, age, profile)
    if must or no_cache:
        swr = sie = 0.0
    stored = fields.storable(response.fields, (*control.not_cached, *control.not_shared))
    if b"date" not in reading.lines:
        stored.append((b"date", dates.write(reading.now)))  # RFC 9110, section 6.6.1
    implied = (rule.vary if rule else ()) if reading.is_for_all else profile.implied_vary
    groups = structured.groups(reading.lines.get(b"cache-groups", ()))
    return Entry(
        b"",
        response.status,
        tuple(stored),
        received=reading.now,
        age=age,
        lifetime=lifetime,
        swr=swr,
        sie=sie,
        must_revalidate=must,
        no_cache=no_cache,
        explicit=reading.is_for_all,
        date=reading.date,
        etag=reading.etag,
        modified=reading.modified,
        vary=tuple(sorted({*vary, *implied})) if implied else vary,
        tags=tuple(dict.fromkeys((*groups, *response.tags, *(rule.tags if rule else ())))),
        cost=max(0.0, response.cost),
    )


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


def keep_seconds(entry: Entry, profile: Profile, now: float) -> float:
    """Return for how long an entry is of any use, for `Store.put`.

    Example:
        >>> from hotplate.cache.http.profile import safe
        >>> keep_seconds(Entry(b"key", 200, received=1000.0, age=10.0, lifetime=60.0, swr=30.0), safe(), 1000.0)
        80.0
    """
    ttl = entry.lifetime - entry.age - max(0.0, now - entry.received)
    validated = max(0.0, ttl) + profile.keep if entry.etag or entry.modified else 0.0
    return min(float(MOST_SECONDS), max(0.0, ttl + max(entry.swr, entry.sie), validated))
