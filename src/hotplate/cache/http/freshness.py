"""A response, read for what it says about caching: how old it is and how long it is fresh (RFC 9111, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hotplate.cache.http import dates, directives, fields, structured
from hotplate.cache.http.directives import MOST_SECONDS, Directives
from hotplate.cache.http.profile import Profile, Rule

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
# Heuristically cacheable (RFC 9110, section 15.1), 206 left out.
HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_FOR_ALL = frozenset({b"no-store", b"private"})


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


class Reading(NamedTuple):
    """A response, read.

    Args:
        status: its status.
        lines: of the fields that count, by name.
        control: what its Cache-Control says, or what stands in for that.
        is_targeted: whether `control` is from a targeted field.
        now: wall-clock seconds when it arrived.
        date: wall-clock seconds of its Date, `now` where it has none.
        modified: the same of Last-Modified, 0 where it has none.
        etag: its entity tag, empty for none.
        rule: what else is said of it.
    """

    status: int
    lines: dict[bytes, list[bytes]]
    control: Directives
    is_targeted: bool
    now: float
    date: float
    modified: float
    etag: bytes
    rule: Rule | None

    @property
    def has_validator(self) -> bool:
        """Whether the app can be asked if it has changed."""
        return bool(self.modified or self.etag)

    @property
    def is_for_all(self) -> bool:
        """Whether the app, or the operator, says that it is for everyone."""
        control = self.control
        return bool(
            self.rule
            or b"public" in control.flags
            or b"s-maxage" in control.seconds
            or (self.is_targeted and b"max-age" in control.seconds)
        )


def read(response: Response, profile: Profile, rule: Rule | None = None) -> Reading:
    """Return what a response says; never fails.

    Args:
        response: up to its body.
        profile: which targeted fields count, and for how much.
        rule: what else is said of it.

    Example:
        >>> from hotplate.cache.http.profile import safe
        >>> read(Response(200, [(b"cache-control", b"public")], 1000.0), safe()).is_for_all
        True
    """
    lines = fields.gathered(response.fields, _READ.union(profile.targets))
    now = response.now
    control, is_targeted = _control(lines, profile)
    etags = {line.strip(b" \t") for line in lines.get(b"etag", ())}
    return Reading(
        response.status,
        lines,
        control,
        is_targeted,
        now,
        _date(lines.get(b"date", ()), now) or now,
        _date(lines.get(b"last-modified", ()), now) or 0.0,
        etags.pop() if len(etags) == 1 else b"",
        rule,
    )


def _control(lines: dict[bytes, list[bytes]], profile: Profile) -> tuple[Directives, bool]:
    control = directives.NONE
    if b"cache-control" in lines:
        control = directives.parse(lines[b"cache-control"])
    elif (
        b"pragma" in lines
    ):  # not specified for responses (RFC 9111, section 5.4), but there is only one way to mean it
        control = Directives(directives.parse(lines[b"pragma"]).flags & {b"no-cache"})
    said = (structured.targeted(lines[name]) for name in profile.targets if name in lines)
    targeted = next((found for found in said if found is not None), None)
    if targeted is None:
        return control, False
    if not profile.must_understand:
        # What is forbidden to everyone stays so: an app may set the one field without knowing of the other.
        forbidden = control.flags & _FOR_ALL | ({b"private"} if control.not_shared else set())
        targeted = targeted._replace(flags=targeted.flags | forbidden)
    return targeted, True


def _date(lines: Iterable[bytes], now: float) -> float | None:
    """Return the date that all lines of a field agree in."""
    found = {dates.read(line, now) for line in lines}
    return found.pop() if len(found) == 1 else None


def age(reading: Reading, cost: float, profile: Profile) -> float:
    """Return the age on arrival in seconds, at most 2^31 (RFC 9111, section 4.2.3).

    Args:
        reading: of the response.
        cost: seconds it took.
        profile: whether they count.
    """
    said = reading.lines.get(b"age")
    delay = cost if cost > 0 and (said or profile.counts_delay) else 0.0
    apparent = max(0.0, reading.now - reading.date)
    return min(float(MOST_SECONDS), max(apparent, fields.age(said or ()) + delay))


def lifetimes(reading: Reading, age: float, profile: Profile) -> tuple[float, float, float]:
    """Return seconds of freshness, counted in its age, and of staleness in a refresh and in place of an error.

    Args:
        reading: of the response.
        age: on arrival.
        profile: whether freshness may be guessed.
    """
    seconds, rule = reading.control.seconds, reading.rule
    lifetime = explicit_lifetime(reading)
    swr = float(seconds.get(b"stale-while-revalidate", 0))
    sie = float(seconds.get(b"stale-if-error", 0))
    if rule is None:
        return _heuristic(reading, profile) if lifetime is None else lifetime, swr, sie
    ttl, rule_swr, rule_sie = rule.seconds()
    if lifetime is None or not (rule.is_default or b"s-maxage" in seconds or reading.is_targeted):
        lifetime = min(float(MOST_SECONDS), ttl + age)  # in its own age: fresh for that long from now on
    return lifetime, swr or rule_swr, sie or rule_sie


def explicit_lifetime(reading: Reading) -> float | None:
    """Return seconds of freshness by section 4.2.1, None where the response says nothing of it."""
    seconds = reading.control.seconds
    for name in (b"s-maxage", b"max-age"):
        if name in seconds:
            return float(seconds[name])
    if reading.is_targeted or b"expires" not in reading.lines:
        return None
    expires = _date(reading.lines[b"expires"], reading.now)
    # Invalid dates, "0" above all, are in the past (section 5.3).
    return 0.0 if expires is None else min(float(MOST_SECONDS), max(0.0, expires - reading.date))


def _heuristic(reading: Reading, profile: Profile) -> float:
    """Return seconds of freshness by section 4.2.2."""
    if not profile.heuristic or not reading.modified or reading.is_targeted:
        return 0.0
    if reading.status not in HEURISTIC and b"public" not in reading.control.flags:
        return 0.0
    return min(profile.heuristic_most, max(0.0, reading.date - reading.modified) * profile.heuristic)
