"""What may be done with a stored response now (RFC 9111, section 4; RFC 5861; early refresh)."""

from __future__ import annotations

from enum import IntEnum
from math import log
from typing import NamedTuple

from hotplate.cache.entry import Entry
from hotplate.cache.http.asking import Passage
from hotplate.cache.http.directives import Directives
from hotplate.cache.http.profile import Profile
from hotplate.cache.http.reasons import Reason

_SKEW = 10.0  # seconds that clocks of machines sharing a store may differ
_LEAST_DRAW = 1e-16
_MOST_EARLY = 37.0  # -log(_LEAST_DRAW), rounded up: no draw can be earlier


class Use(IntEnum):
    """What to do with a stored response."""

    FRESH = 0  # answer with it
    EARLY = 1  # answer with it, and refresh it in the background: it expires soon, and was costly
    STALE = 2  # answer with it, and refresh it in the background (stale-while-revalidate)
    REVALIDATE = 3  # ask the app first, with conditions where there are validators
    UNUSABLE = 4  # as if there were nothing stored


class Verdict(NamedTuple):
    """What may be done with a stored response.

    Args:
        use: what to do.
        age: its age in seconds.
        ttl: seconds for which it is still fresh; negative where it is stale.
        on_error: whether it may be served where the app fails (stale-if-error).
        reason: why it is not fresh, or not usable.
    """

    use: Use
    age: float
    ttl: float
    on_error: bool = False
    reason: Reason = Reason.NONE


_FRESH = Use.FRESH


def reuse(entry: Entry, passage: Passage, now: float, profile: Profile, draw: float = 1.0) -> Verdict:
    """Return what may be done with `entry` for a request.

    That it is stored for this request's key, and valid, is the caller's to know.

    Args:
        entry: as stored.
        passage: of the request; `lookup` is true.
        now: wall-clock seconds.
        profile: what is allowed.
        draw: a random number from 0 to 1, for early refresh; 1 for none.

    Example:
        >>> from hotplate.cache.http.asking import PLAIN
        >>> from hotplate.cache.http.profile import safe
        >>> reuse(Entry(b"key", 200, received=1000.0, lifetime=60.0), PLAIN, 1030.0, safe())[:3]
        (<Use.FRESH: 0>, 30.0, 30.0)
    """
    since = now - entry.received
    age = entry.age + since if since > 0 else entry.age
    ttl = entry.lifetime - age
    if (
        ttl > 0
        and entry.status
        and not entry.no_cache
        and passage.wants is None
        and (entry.explicit or not passage.is_personal)
        and since > -_SKEW
    ):
        if ttl < entry.cost * _MOST_EARLY * profile.beta and is_early(ttl, entry.cost, draw, profile.beta):
            return Verdict(Use.EARLY, age, ttl)
        return Verdict(_FRESH, age, ttl)
    return _otherwise(entry, passage, age, since)


def is_early(ttl: float, cost: float, draw: float, beta: float = 1.0) -> bool:
    """Whether to refresh what is fresh for `ttl` seconds more and took `cost` seconds to make.

    The chance grows as the end comes near, so that of many who ask, one is likely to be early, and nobody waits
    (XFetch: Vattani, Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede Prevention, VLDB 2015).

    Example:
        >>> is_early(60.0, 0.1, 0.5), is_early(0.01, 0.1, 0.5)
        (False, True)
    """
    return cost * beta * -log(max(draw, _LEAST_DRAW)) >= ttl


def _otherwise(entry: Entry, passage: Passage, age: float, since: float) -> Verdict:
    ttl = entry.lifetime - age
    if not entry.status:
        return Verdict(Use.UNUSABLE, age, ttl, reason=Reason.MARKER)
    if passage.is_personal and not entry.explicit:
        return Verdict(Use.UNUSABLE, age, ttl, reason=Reason.NOT_FOR_ALL)
    if since <= -_SKEW:
        return Verdict(Use.REVALIDATE, age, ttl, reason=Reason.CLOCK)
    on_error = not entry.must_revalidate and not entry.no_cache and -ttl < entry.sie
    if entry.no_cache:
        return Verdict(Use.REVALIDATE, age, ttl, reason=Reason.NO_CACHE)
    wants = passage.wants
    if wants is not None and _refuses(wants, age, ttl):
        return Verdict(Use.REVALIDATE, age, ttl, on_error, Reason.CLIENT)
    if ttl > 0:
        return Verdict(Use.FRESH, age, ttl)
    if not entry.must_revalidate and (-ttl < entry.swr or (wants and -ttl < wants.seconds.get(b"max-stale", 0))):
        return Verdict(Use.STALE, age, ttl, on_error, Reason.EXPIRED)
    return Verdict(Use.REVALIDATE, age, ttl, on_error, Reason.EXPIRED)


def _refuses(wants: Directives, age: float, ttl: float) -> bool:
    """Whether a client that is heeded wants a newer one (RFC 9111, section 5.2.1)."""
    seconds = wants.seconds
    if b"no-cache" in wants.flags:
        return True
    if b"max-age" in seconds and age >= seconds[b"max-age"]:
        return True
    return b"min-fresh" in seconds and ttl < seconds[b"min-fresh"]
