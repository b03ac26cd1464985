"""How old a response is and how long it is fresh (RFC 9111, section 4.2), whatever its fields look like."""

from __future__ import annotations

import pytest

from hotplate.cache.entry import Entry
from hotplate.cache.http import dates
from hotplate.cache.http.asking import PLAIN
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.profile import Profile, Rule, rfc, safe
from hotplate.cache.http.storing import judge

NOW = 1_795_000_000.0
Fields = list[tuple[bytes, bytes]]


def at(seconds: float) -> bytes:
    """Return the date that many seconds from now."""
    return dates.write(NOW + seconds)


def entry(fields: Fields, profile: Profile, rule: Rule | None = None, cost: float = 0.0) -> Entry | None:
    """Return what is stored of a response with a validator, None for nothing."""
    found = judge(PLAIN, Response(200, [*fields, (b"etag", b'"x"')], NOW, cost), profile, rule)
    return found if isinstance(found, Entry) else None


CC, CDN, DATE, EXPIRES, AGE = b"cache-control", b"cdn-cache-control", b"date", b"expires", b"age"
MOST = 2.0**31

LIFETIMES: list[tuple[Fields, float]] = [
    ([], 0),
    ([(CC, b"max-age=60")], 60),
    ([(CC, b"max-age=0")], 0),
    ([(CC, b"max-age=2147483647")], 2147483647),
    ([(CC, b"max-age=2147483649")], MOST),
    ([(CC, b"max-age=99999999999")], MOST),
    # s-maxage, then max-age, then Expires.
    ([(CC, b"max-age=60, s-maxage=1")], 1),
    ([(CC, b"s-maxage=1"), (CC, b"max-age=60")], 1),
    ([(EXPIRES, at(-10)), (CC, b"max-age=0, s-maxage=60")], 60),
    ([(EXPIRES, at(600)), (CC, b"max-age=60")], 60),
    ([(EXPIRES, b"0"), (CC, b"max-age=60")], 60),
    ([(EXPIRES, at(600)), (CC, b"max-age=0")], 0),
    ([(EXPIRES, at(600)), (CC, b"max-age=x")], 0),
    ([(EXPIRES, at(600)), (CC, b"public")], 600),
    # Expires counts from Date.
    ([(EXPIRES, at(600))], 600),
    ([(EXPIRES, at(600)), (DATE, at(-5))], 605),
    ([(EXPIRES, at(300)), (DATE, at(400))], 0),
    ([(EXPIRES, at(-600))], 0),
    ([(EXPIRES, at(0))], 0),
    ([(EXPIRES, at(10)), (DATE, b"foo")], 10),
    ([(EXPIRES, at(10)), (DATE, at(0)), (DATE, at(-5))], 10),
    ([(EXPIRES, at(10)), (DATE, at(-5)), (DATE, at(-5))], 15),
    ([(EXPIRES, b"Sun, 31 Dec 9999 23:59:59 GMT")], MOST),
    # What is no date is in the past.
    ([(EXPIRES, b"0")], 0),
    ([(EXPIRES, b"")], 0),
    ([(EXPIRES, b"-1")], 0),
    ([(EXPIRES, b"Thu, 18 Aug 2050 02:01:18 UTC")], 0),
    ([(EXPIRES, b"Thu, 18 Aug 2050 2:01:18 GMT")], 0),
    ([(EXPIRES, at(600)), (EXPIRES, at(601))], 0),
    ([(EXPIRES, at(600)), (EXPIRES, at(600))], 600),
    # A targeted field replaces both, unless it is to be ignored.
    ([(CDN, b"max-age=60")], 60),
    ([(CDN, b"max-age=1"), (CC, b"max-age=60, s-maxage=60"), (EXPIRES, at(60))], 1),
    ([(CDN, b"max-age=60"), (CC, b"max-age=1")], 60),
    ([(CDN, b"max-age=60"), (CC, b"no-cache")], 60),
    ([(CDN, b"max-age=0"), (EXPIRES, at(600))], 0),
    ([(CDN, b"foo"), (CC, b"max-age=60"), (EXPIRES, at(60))], 0),
    ([(CDN, b"max-age=60, &&&"), (CC, b"max-age=1")], 1),
    ([(CDN, b"max-age =60"), (CC, b"max-age=1")], 1),
    ([(CDN, b'max-age="60"'), (CC, b"max-age=1")], 1),
    ([(CDN, b""), (CC, b"max-age=1")], 1),
]


@pytest.mark.parametrize(("fields", "expected"), LIFETIMES, ids=repr)
def test_lifetimes(fields: Fields, expected: float) -> None:
    """The first of what is said counts, in seconds from 0 to 2^31; in the safe profile as well, where it is stored."""
    found = entry(fields, rfc())
    assert found is not None
    assert found.lifetime == expected
    found = entry(fields, safe())
    assert (found is not None) is (expected > 0)
    assert found is None or found.lifetime == expected


AGES: list[tuple[Fields, float, float]] = [
    # fields, seconds it took, its age in `rfc`
    ([], 0, 0),
    ([], 2.5, 2.5),
    ([], -1, 0),
    ([(AGE, b"30")], 0, 30),
    ([(AGE, b"30")], 2, 32),
    ([(AGE, b"-30")], 0, 0),
    ([(AGE, b"7200.0")], 0, 0),
    ([(AGE, b"99999999999")], 0, MOST),
    ([(AGE, b"99999999999")], 5, MOST),
    ([(AGE, b"30, 0")], 0, 30),
    ([(DATE, at(-10))], 0, 10),
    ([(DATE, at(-10)), (AGE, b"25")], 0, 25),
    ([(DATE, at(-25)), (AGE, b"10")], 0, 25),
    ([(DATE, at(10)), (AGE, b"15")], 0, 15),
    ([(DATE, at(10))], 0, 0),
    ([(DATE, b"foo")], 0, 0),
    ([(DATE, b"Mon, 01 Jan 0001 00:00:00 GMT")], 0, MOST),
]


@pytest.mark.parametrize(("fields", "cost", "expected"), AGES, ids=repr)
def test_ages(fields: Fields, cost: float, expected: float) -> None:
    """The larger of what Date and Age say, with the time the answer took."""
    found = entry([*fields, (CC, b"max-age=60")], rfc(), cost=cost)
    assert found is not None
    assert found.age == expected


def test_the_app_here_makes_its_answers_new() -> None:
    """In the safe profile a slow page is new when it is done, unless it says that it comes out of another cache."""
    found = entry([(CC, b"max-age=2")], safe(), cost=3.0)
    assert found is not None
    assert found.age == 0
    found = entry([(CC, b"max-age=60"), (AGE, b"1")], safe(), cost=3.0)
    assert found is not None
    assert found.age == 4


def test_heuristic_freshness() -> None:
    """A tenth of the time since it was modified, a week at most; never where anything else is said."""
    for modified, expected in ((-1000, 100), (-86400, 8640), (-(10**9), 7 * 86400), (5, 0)):
        found = entry([(b"last-modified", at(modified))], rfc())
        assert found is not None
        assert found.lifetime == expected
    for said in ((CC, b"max-age=0"), (EXPIRES, b"0"), (CDN, b"foo")):
        found = entry([(b"last-modified", at(-1000)), said], rfc())
        assert found is not None
        assert found.lifetime == 0


HEURISTIC = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}


def test_heuristic_statuses() -> None:
    """Only where the status allows it, or the response says public (RFC 9110, section 15.1)."""
    for status in range(200, 600):
        for fields, wanted in (([], status in HEURISTIC), ([(CC, b"public")], True)):
            found = judge(PLAIN, Response(status, [(b"last-modified", at(-1000)), *fields], NOW), rfc())
            if isinstance(found, Entry):
                assert (found.lifetime > 0) is wanted


PRAGMA: list[tuple[Fields, bool]] = [
    ([(b"pragma", b"no-cache")], True),
    ([(b"pragma", b"no-cache"), (EXPIRES, at(60))], True),
    ([(b"pragma", b"foo"), (EXPIRES, at(60))], False),
    ([(b"pragma", b"no-cache"), (CC, b"max-age=60")], False),
]


@pytest.mark.parametrize(("fields", "is_no_cache"), PRAGMA, ids=repr)
def test_pragma_without_cache_control(fields: Fields, is_no_cache: bool) -> None:
    """`Pragma: no-cache` means what it says where no Cache-Control says more."""
    found = entry(fields, rfc())
    assert found is not None
    assert found.no_cache is is_no_cache


VIEW, ROUTE = Rule(ttl=60, swr=5, sie=6), Rule(ttl=60, swr=5, sie=6, is_default=True)
RULED: list[tuple[Fields, Rule, tuple[float, float, float]]] = [
    ([], VIEW, (60, 5, 6)),
    ([], ROUTE, (60, 5, 6)),
    # Of a view, max-age is for browsers; an operator's rule is for pages whose app says nothing.
    ([(CC, b"max-age=10")], VIEW, (60, 5, 6)),
    ([(CC, b"max-age=10")], ROUTE, (10, 5, 6)),
    ([(EXPIRES, at(10))], VIEW, (60, 5, 6)),
    ([(EXPIRES, at(10))], ROUTE, (10, 5, 6)),
    # What the app says to shared caches comes first.
    ([(CC, b"s-maxage=10")], VIEW, (10, 0, 0)),
    ([(CDN, b"max-age=10")], VIEW, (10, 5, 6)),
    ([(CDN, b"max-age=10, stale-while-revalidate=1")], ROUTE, (10, 1, 6)),
    ([(CC, b"must-revalidate")], VIEW, (60, 0, 0)),
    ([(CC, b"stale-while-revalidate=1, stale-if-error=2")], VIEW, (60, 1, 2)),
    # From now on, however old the page says it is.
    ([(AGE, b"30")], VIEW, (90, 5, 6)),
    ([(DATE, at(-30))], VIEW, (90, 5, 6)),
]


@pytest.mark.parametrize(("fields", "rule", "expected"), RULED, ids=repr)
def test_rules(fields: Fields, rule: Rule, expected: tuple[float, float, float]) -> None:
    """A rule fills in what the app does not say to caches."""
    found = entry(fields, safe(), rule)
    assert found is not None
    assert (found.lifetime, found.swr, found.sie) == expected


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300, 0.0])
def test_rules_have_bounds(seconds: float) -> None:
    """Whatever a decorator was given."""
    found = Rule(ttl=seconds, swr=seconds, sie=seconds).seconds()
    assert all(0 <= number <= MOST for number in found)
