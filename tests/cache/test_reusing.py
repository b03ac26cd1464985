"""What may be done with a stored response: fresh for whom it is, stale only where that was allowed."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.entry import Entry
from hotplate.cache.http.asking import PLAIN, Passage, ask
from hotplate.cache.http.profile import Profile, rfc, safe
from hotplate.cache.http.reasons import Reason
from hotplate.cache.http.reusing import Use, Verdict, is_early, reuse

NOW = 1_795_000_000.0
SAFE, RFC = safe(), rfc()
COOKIE = ask("GET", [(b"cookie", b"session=abc")], SAFE)


def stored(
    *, lifetime: float = 60.0, age: float = 0.0, swr: float = 0.0, sie: float = 0.0, explicit: bool = False
) -> Entry:
    """Return a response that arrived now."""
    return Entry(
        b"key", 200, received=NOW, lifetime=lifetime, age=age, swr=swr, sie=sie, explicit=explicit, etag=b'"x"'
    )


def wanting(value: str) -> Passage:
    """Return what a request with that Cache-Control allows where clients are heeded."""
    return ask("GET", [(b"cache-control", value.encode())], RFC)


TIMES: list[tuple[Entry, float, Use, bool]] = [
    # entry, seconds later, what to do, whether it may stand in for an error
    (stored(), 0, Use.FRESH, False),
    (stored(), 59.5, Use.FRESH, False),
    (stored(), 60, Use.REVALIDATE, False),
    (stored(age=30), 29, Use.FRESH, False),
    (stored(age=30), 30, Use.REVALIDATE, False),
    (stored(age=7200), 0, Use.REVALIDATE, False),
    (stored(lifetime=0), 0, Use.REVALIDATE, False),
    (stored(lifetime=2.0**31), 10**9, Use.FRESH, False),
    (stored(lifetime=2.0**31, age=2.0**31), 0, Use.REVALIDATE, False),
    (stored(swr=30), 60, Use.STALE, False),
    (stored(swr=30), 89.5, Use.STALE, False),
    (stored(swr=30), 90, Use.REVALIDATE, False),
    (stored(sie=30), 60, Use.REVALIDATE, True),
    (stored(sie=30), 90, Use.REVALIDATE, False),
    (stored(swr=10, sie=30), 65, Use.STALE, True),
    (stored(swr=10, sie=30), 75, Use.REVALIDATE, True),
]


@pytest.mark.parametrize(("entry", "later", "use", "on_error"), TIMES)
def test_times(entry: Entry, later: float, use: Use, on_error: bool) -> None:
    """Fresh until its lifetime, then as long as stale-while-revalidate and stale-if-error say."""
    for profile in (SAFE, RFC):
        found = reuse(entry, PLAIN, NOW + later, profile)
        assert (found.use, found.on_error) == (use, on_error)
        assert found.age == entry.age + later
        assert found.ttl == entry.lifetime - found.age


def test_no_cache_is_asked_after_each_time() -> None:
    """However fresh it is, and never served in place of an error."""
    entry = Entry(b"key", 200, received=NOW, lifetime=60.0, no_cache=True, swr=60.0, sie=60.0)
    for later in (0, 70):
        found = reuse(entry, PLAIN, NOW + later, RFC)
        assert (found.use, found.on_error, found.reason) == (Use.REVALIDATE, False, Reason.NO_CACHE)


def test_must_revalidate_is_never_stale() -> None:
    """Nor by a client's wish."""
    entry = Entry(b"key", 200, received=NOW, lifetime=60.0, must_revalidate=True, swr=60.0, sie=60.0)
    for passage in (PLAIN, wanting("max-stale")):
        found = reuse(entry, passage, NOW + 70, RFC)
        assert (found.use, found.on_error) == (Use.REVALIDATE, False)


def test_a_marker_is_no_response() -> None:
    """What is remembered of one that could not be stored is not sent."""
    found = reuse(Entry(b"key", received=NOW, lifetime=60.0, refused="private"), PLAIN, NOW, SAFE)
    assert (found.use, found.reason) == (Use.UNUSABLE, Reason.MARKER)


def test_personal_requests_get_only_what_is_for_everyone() -> None:
    """A stale one that is not theirs is not even asked after in their name."""
    for later in (0, 70):
        found = reuse(stored(swr=60), COOKIE, NOW + later, SAFE)
        assert (found.use, found.reason, found.on_error) == (Use.UNUSABLE, Reason.NOT_FOR_ALL, False)
    assert reuse(stored(explicit=True), COOKIE, NOW, SAFE).use is Use.FRESH
    assert reuse(stored(explicit=True, swr=60), COOKIE, NOW + 70, SAFE).use is Use.STALE


CLIENTS: list[tuple[str, Entry, float, Use]] = [
    ("no-cache", stored(), 0, Use.REVALIDATE),
    ("max-age=0", stored(), 0, Use.REVALIDATE),
    ("max-age=1", stored(), 3, Use.REVALIDATE),
    ("max-age=5", stored(), 3, Use.FRESH),
    ("max-age=600", stored(lifetime=10000, age=1800), 0, Use.REVALIDATE),
    ("max-age=600, max-stale", stored(lifetime=10000, age=1800), 0, Use.REVALIDATE),
    ("max-age=x", stored(), 0, Use.REVALIDATE),
    ("min-fresh=50", stored(), 0, Use.FRESH),
    ("min-fresh=60", stored(), 1, Use.REVALIDATE),
    ("min-fresh=x", stored(), 1, Use.FRESH),
    ("max-stale=10", stored(), 65, Use.STALE),
    ("max-stale=10", stored(), 70, Use.REVALIDATE),
    ("max-stale", stored(), 10**6, Use.STALE),
    ("max-stale=x", stored(), 65, Use.REVALIDATE),
    ("max-stale, no-cache", stored(), 65, Use.REVALIDATE),
]


@pytest.mark.parametrize(("value", "entry", "later", "use"), CLIENTS)
def test_clients_that_are_heeded(value: str, entry: Entry, later: float, use: Use) -> None:
    """In the profile of RFC 9111 a request's Cache-Control counts (section 5.2.1), in the safe one it does not."""
    assert reuse(entry, wanting(value), NOW + later, RFC).use is use
    plain = ask("GET", [(b"cache-control", value.encode())], SAFE)
    assert reuse(entry, plain, NOW + later, SAFE) == reuse(entry, PLAIN, NOW + later, SAFE)


def test_clocks_that_differ() -> None:
    """A few seconds make it no younger than it was; a response out of the far future is asked after."""
    assert reuse(stored(age=5), PLAIN, NOW - 3, SAFE)[:3] == (Use.FRESH, 5, 55)
    found = reuse(stored(swr=60, sie=60), PLAIN, NOW - 3600, SAFE)
    assert (found.use, found.reason) == (Use.REVALIDATE, Reason.CLOCK)


# ---------------------------------------------------------------- early refresh


def test_early_refresh_is_rare_at_first_and_sure_at_last() -> None:
    """The chance is exp(-ttl / cost), as in XFetch: counted over evenly spread draws."""
    draws = [(number + 0.5) / 10_000 for number in range(10_000)]
    for ttl, chance in ((5.0, 0.0067), (1.0, 0.3679), (0.1, 0.9048)):
        assert sum(is_early(ttl, 1.0, draw) for draw in draws) / 10_000 == pytest.approx(chance, abs=0.001)


def test_early_is_answered_with_what_is_there() -> None:
    """It is still fresh; only the refresh begins."""
    entry = Entry(b"key", 200, received=NOW, lifetime=60.0, cost=2.0)
    assert reuse(entry, PLAIN, NOW + 59, SAFE, 0.1)[:3] == (Use.EARLY, 59, 1)
    assert reuse(entry, PLAIN, NOW + 59, SAFE, 0.9).use is Use.FRESH
    assert reuse(entry, PLAIN, NOW + 59, SAFE).use is Use.FRESH
    for draw in (0.0, 1e-300, 1.0):
        assert reuse(entry, PLAIN, NOW, SAFE, draw).use in {Use.FRESH, Use.EARLY}
        assert reuse(stored(), PLAIN, NOW + 59.99, SAFE, draw).use is Use.FRESH  # it costs nothing


# ---------------------------------------------------------------- by chance

SECONDS = st.one_of(st.sampled_from([0.0, 1.0, 60.0, 2.0**31]), st.floats(0, 2.0**31))
ENTRIES = st.builds(
    Entry,
    st.just(b"key"),
    st.sampled_from([0, 200]),
    received=st.just(NOW),
    age=SECONDS,
    lifetime=SECONDS,
    swr=SECONDS,
    sie=SECONDS,
    must_revalidate=st.booleans(),
    no_cache=st.booleans(),
    explicit=st.booleans(),
    cost=st.floats(0, 100),
)
WISHES = ["no-cache", "max-age=1", "min-fresh=60", "max-stale=5", "max-stale"]
PASSAGES = [PLAIN, COOKIE, *map(wanting, WISHES)]
PASSAGES += [wanting(", ".join(pair)) for pair in product(WISHES, WISHES) if pair[0] < pair[1]]


@given(ENTRIES, st.sampled_from(PASSAGES), st.floats(-100, 2.0**32), st.sampled_from([SAFE, RFC]), st.floats(0, 1))
def test_what_is_served_may_be(entry: Entry, passage: Passage, later: float, profile: Profile, draw: float) -> None:
    """Nothing stale, foreign or forbidden is served, whatever the entry, the request and the clock."""
    found: Verdict = reuse(entry, passage, NOW + later, profile, draw)
    if found.use in {Use.FRESH, Use.EARLY}:
        assert found.age < entry.lifetime
    if found.use is Use.STALE:
        assert not entry.must_revalidate
        wish = passage.wants.seconds.get(b"max-stale", 0) if passage.wants else 0
        assert found.age < entry.lifetime + max(entry.swr, wish)
    if found.use <= Use.STALE:
        assert entry.status
        assert not entry.no_cache
        assert entry.explicit or not passage.is_personal
        assert later > -10
        assert passage.wants is None or b"no-cache" not in passage.wants.flags
    if found.on_error:
        assert not entry.must_revalidate
        assert not entry.no_cache
        assert found.age < entry.lifetime + entry.sie
