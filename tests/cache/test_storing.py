"""What is stored, and what never is, whatever else a response says."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotplate.cache.entry import Entry
from hotplate.cache.http import dates
from hotplate.cache.http.asking import PLAIN, Passage, ask
from hotplate.cache.http.directives import MOST_SECONDS
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.profile import Profile, Rule, rfc, safe
from hotplate.cache.http.reasons import Reason
from hotplate.cache.http.storing import MOST_TAGS, Refused, finish, judge, keep_seconds

Fields = list[tuple[bytes, bytes]]
NOW = 1_795_000_000.0
SAFE, RFC = safe(), rfc()
PROFILES = [SAFE, RFC]
COOKIE = ask("GET", [(b"cookie", b"session=abc")], SAFE)
BEARER = ask("GET", [(b"authorization", b"Bearer x")], SAFE)
API_KEY = ask("GET", [(b"x-api-key", b"x")], SAFE)
BEARER_RFC = ask("GET", [(b"authorization", b"Bearer x")], RFC)
COOKIE_RFC = ask("GET", [(b"cookie", b"session=abc")], RFC)


def named(profile: Profile) -> str:
    """Return its name, for test ids."""
    return profile.name


def control(value: str, *fields: tuple[bytes, bytes], status: int = 200) -> Response:
    """Return a response with a Cache-Control and further fields."""
    return Response(status, [(b"cache-control", value.encode()), *fields], NOW)


def reason(found: Entry | Refused) -> Reason:
    """Return why it was refused, NONE where it was not."""
    return found.reason if isinstance(found, Refused) else Reason.NONE


def is_stored(found: Entry | Refused) -> bool:
    """Whether it was."""
    return isinstance(found, Entry)


# ---------------------------------------------------------------- what forbids, forbids

FORBIDDING: dict[tuple[tuple[bytes, bytes], ...], Reason] = {
    ((b"cache-control", b"no-store"),): Reason.NO_STORE,
    ((b"cache-control", b"No-StOrE"),): Reason.NO_STORE,
    ((b"Cache-Control", b"foo, no-store;bar"),): Reason.NO_STORE,
    ((b"cache-control", b"private"),): Reason.PRIVATE,
    ((b"cache-control", b'private="x"'),): Reason.PRIVATE,
    ((b"cache-control", b"no-store, must-understand"),): Reason.NO_STORE,
    ((b"set-cookie", b"a=b"),): Reason.SET_COOKIE,
    ((b"Set-Cookie", b""),): Reason.SET_COOKIE,
    ((b"set-cookie2", b"a=b"),): Reason.SET_COOKIE,
    ((b"vary", b"*"),): Reason.VARY_STAR,
    ((b"vary", b"a, *"),): Reason.VARY_STAR,
    ((b"vary", b", ".join(b"x%d" % number for number in range(20))),): Reason.VARY_MANY,
    ((b"cache-control", b"no-cache"),): Reason.NO_CACHE,
    ((b"cache-control", b"no-store"), (b"cdn-cache-control", b"max-age=60")): Reason.NO_STORE,
    ((b"cache-control", b"private"), (b"cdn-cache-control", b"max-age=60")): Reason.PRIVATE,
    ((b"cdn-cache-control", b"no-store, max-age=60"),): Reason.NO_STORE,
    ((b"cdn-cache-control", b"private, max-age=60"),): Reason.PRIVATE,
}
ALLOWING: list[Fields] = [
    [(b"cache-control", b"max-age=60")],
    [(b"cache-control", b"public, s-maxage=60, max-age=60, stale-while-revalidate=60")],
    [(b"cdn-cache-control", b"public, max-age=60")],
    [(b"expires", dates.write(NOW + 60))],
]
RULES = [None, Rule(ttl=60), Rule(ttl=60, swr=60, tags=("a",), is_default=True)]


@pytest.mark.parametrize(("fields", "expected"), FORBIDDING.items(), ids=repr)
@pytest.mark.parametrize("allowing", ALLOWING, ids=repr)
@pytest.mark.parametrize("rule", RULES, ids=["alone", "view", "route"])
def test_what_forbids_comes_before_what_allows(
    fields: tuple[tuple[bytes, bytes], ...], expected: Reason, allowing: Fields, rule: Rule | None
) -> None:
    """In the safe profile no-store, private, cookies and Vary: * win over every permission, in any order."""
    if fields[0] == (b"cache-control", b"no-cache") and allowing[0][0] == b"cdn-cache-control":
        expected = Reason.NONE  # browsers ask each time, and the targeted field speaks to caches such as this one
    for sent in ([*fields, *allowing], [*allowing, *fields]):
        if sum(name == b"cdn-cache-control" for name, _ in sent) > 1 and expected is Reason.NONE:
            continue
        found = judge(PLAIN, Response(200, sent, NOW), SAFE, rule)
        assert reason(found) is expected
        if isinstance(found, Refused):
            assert found.seconds == SAFE.marker


SAFE_STATUSES = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
NEVER = {206, 304, 412, 416, 417, 426, 431}


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_every_status(profile: Profile) -> None:
    """The safe profile stores the lasting ones, the other all that answer no condition of one request."""
    stored = {
        status
        for status in range(1100)
        if is_stored(judge(PLAIN, control("public, max-age=60", status=status), profile, Rule(ttl=60)))
    }
    assert stored == (SAFE_STATUSES if profile is SAFE else set(range(200, 600)) - NEVER)


def test_marks() -> None:
    """What cannot be stored is remembered for two minutes, a server's error for a second, one person's not at all."""
    assert judge(PLAIN, control("private"), SAFE) == Refused(Reason.PRIVATE, 120.0)
    assert judge(PLAIN, control("max-age=60", status=503), SAFE) == Refused(Reason.STATUS, 1.0)
    assert judge(PLAIN, control("max-age=60", status=206), SAFE) == Refused(Reason.PARTIAL)
    assert judge(PLAIN, control("max-age=60", status=304), RFC) == Refused(Reason.CONDITIONAL)
    assert judge(COOKIE, control("private"), SAFE) == Refused(Reason.PRIVATE)
    assert judge(ask("POST", [], SAFE), control("max-age=60"), SAFE) == Refused(Reason.METHOD)
    no_store = ask("GET", [(b"cache-control", b"no-store")], SAFE)
    assert judge(no_store, control("public, max-age=60"), SAFE) == Refused(Reason.REQUEST_NO_STORE)


# ---------------------------------------------------------------- cookies and credentials

PEOPLE: dict[str, tuple[bool, bool, bool, bool, bool]] = {
    # Cache-Control: stored after a request with a cookie, Authorization, an API key; in `rfc`: a cookie, Authorization
    "max-age=60": (False, False, False, True, False),
    "max-age=60, must-revalidate": (False, False, False, True, True),
    "max-age=60, proxy-revalidate": (False, False, False, True, False),
    "max-age=60, immutable": (False, False, False, True, False),
    "max-age=60, public": (True, True, True, True, True),
    "s-maxage=60": (True, True, True, True, True),
    "public, no-store, max-age=60": (False, False, False, False, False),
    "public, private, max-age=60": (False, False, False, False, False),
    '"public", max-age=60': (False, False, False, False, False),  # a quote out of place spoils the number
}


@pytest.mark.parametrize(("value", "expected"), PEOPLE.items(), ids=repr)
def test_what_one_person_was_answered(value: str, expected: tuple[bool, ...]) -> None:
    """It is stored only where the response says, for itself, that it is for everyone (RFC 9111, section 3.5)."""
    response = control(value)
    found = [is_stored(judge(passage, response, SAFE)) for passage in (COOKIE, BEARER, API_KEY)]
    found += [is_stored(judge(passage, response, RFC)) for passage in (COOKIE_RFC, BEARER_RFC)]
    assert tuple(found) == expected


def test_a_rule_is_for_everyone() -> None:
    """The operator says so; the app's own words to the contrary still count."""
    silent = Response(200, [], NOW)
    for passage in (COOKIE, BEARER, API_KEY):
        found = judge(passage, silent, SAFE, Rule(ttl=60))
        assert isinstance(found, Entry)
        assert found.explicit
        assert not is_stored(judge(passage, control("private"), SAFE, Rule(ttl=60)))


def test_cdn_cache_control_is_for_everyone_but_not_for_credentials() -> None:
    """RFC 9111, section 3.5 has a list of what shares a response to Authorization; max-age is not on it."""
    response = Response(200, [(b"cdn-cache-control", b"max-age=60")], NOW)
    assert is_stored(judge(COOKIE, response, SAFE))
    for passage, profile in ((BEARER, SAFE), (BEARER_RFC, RFC)):
        assert reason(judge(passage, response, profile)) is Reason.AUTHORIZATION


def test_what_only_rfc_9111_allows() -> None:
    """Set-Cookie, heuristics, other statuses, no-cache to be revalidated, must-understand, private fields."""
    old = (b"last-modified", dates.write(NOW - 1000))
    for response in (
        control("max-age=60", (b"set-cookie", b"a=b")),
        Response(200, [old], NOW),
        control("max-age=60", status=302),
        control("no-cache", (b"etag", b'"x"')),
        control("max-age=0", old),
        control("max-age=60, no-store, must-understand"),
        control('max-age=60, private="x"', (b"x", b"1")),
        control("no-store", (b"cdn-cache-control", b"max-age=60")),
    ):
        assert not is_stored(judge(PLAIN, response, SAFE))
        assert is_stored(judge(PLAIN, response, RFC))


def test_must_understand() -> None:
    """It lifts no-store for statuses that are understood, and forbids all others (RFC 9111, section 5.2.2.3)."""
    assert is_stored(judge(PLAIN, control("max-age=60, must-understand"), SAFE))
    for value in ("max-age=60, must-understand", "max-age=60, no-store, must-understand"):
        assert reason(judge(PLAIN, control(value, status=599), RFC)) is Reason.STATUS


# ---------------------------------------------------------------- what is remembered


def test_what_is_stored() -> None:
    """Fields of the connection, Age and withheld fields are left out; a Date is added where there was none."""
    sent = [
        (b"Cache-Control", b'public, max-age=60, no-cache="x-user"'),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"x-user", b"ann"),
        (b"age", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"etag", b' "x" '),
        (b"vary", b"Accept-Encoding"),
        (b"cache-groups", b'"front"'),
    ]
    found = judge(PLAIN, Response(200, sent, NOW, 0.5, ("mine",)), SAFE, Rule(ttl=9, tags=("front", "rule")))
    assert isinstance(found, Entry)
    assert [name for name, _ in found.fields] == [b"cache-control", b"etag", b"vary", b"cache-groups", b"date"]
    assert found.fields[-1] == (b"date", dates.write(NOW))
    assert (found.etag, found.vary, found.tags) == (b'"x"', (b"accept-encoding",), ("front", "mine", "rule"))
    assert (found.received, found.date, found.cost, found.explicit) == (NOW, NOW, 0.5, True)


def test_two_entity_tags_are_none() -> None:
    """Nobody could tell which one a 304 is about."""
    found = judge(PLAIN, control("max-age=60", (b"etag", b'"x"'), (b"etag", b'"y"')), SAFE)
    assert isinstance(found, Entry)
    assert found.etag == b""


def test_language_is_asked_for_where_nobody_says_that_it_does_not_matter() -> None:
    """An app that chooses the language and leaves Vary out is shared only where it says public, or by a rule."""
    for response, rule, vary in (
        (control("max-age=60"), None, (b"accept", b"accept-language")),
        (control("max-age=60", (b"vary", b"Cookie, accept")), None, (b"accept", b"accept-language", b"cookie")),
        (control("max-age=60, public"), None, ()),
        (control("max-age=60"), Rule(ttl=1, vary=(b"accept",)), (b"accept",)),
        (control("max-age=60, public", (b"vary", b"b")), Rule(ttl=1, vary=(b"a",)), (b"a", b"b")),
    ):
        found = judge(PLAIN, response, SAFE, rule)
        assert isinstance(found, Entry)
        assert found.vary == vary


def test_stale_is_never_served_past_what_forbids_it() -> None:
    """must-revalidate, proxy-revalidate, s-maxage and no-cache leave no time for stale answers, a rule's neither."""
    etag = (b"etag", b'"x"')
    for value in ("max-age=1, must-revalidate", "max-age=1, proxy-revalidate", "s-maxage=1", "max-age=1, no-cache"):
        for rule in (None, Rule(ttl=1, swr=60, sie=60)):
            found = judge(PLAIN, control(f"{value}, stale-while-revalidate=60, stale-if-error=60", etag), RFC, rule)
            assert isinstance(found, Entry)
            assert (found.swr, found.sie) == (0, 0)
    found = judge(PLAIN, control("max-age=1, stale-while-revalidate=60, stale-if-error=70"), SAFE)
    assert isinstance(found, Entry)
    assert (found.swr, found.sie, found.must_revalidate) == (60, 70, False)


def test_too_many_tags() -> None:
    """Every one is checked on every hit, and leaving some out would make it stale."""
    tags = tuple(f"t{number}" for number in range(MOST_TAGS))
    assert is_stored(judge(PLAIN, Response(200, [(b"cache-control", b"max-age=60")], NOW, 0.0, tags), SAFE))
    more = Response(200, [(b"cache-control", b"max-age=60"), (b"cache-groups", b'"one"')], NOW, 0.0, tags)
    assert reason(judge(PLAIN, more, SAFE)) is Reason.TAGS


LENGTHS = {(b"5",): True, (): True, (b"4",): False, (b"6",): False, (b"5", b"5"): True, (b"5", b"6"): False,
           (b"5, 5",): False, (b"-5",): False, (b"",): False, (b"x",): False}  # fmt: skip


@pytest.mark.parametrize(("lines", "is_whole"), LENGTHS.items(), ids=repr)
def test_half_a_body_is_not_stored(lines: tuple[bytes, ...], is_whole: bool) -> None:
    """A body must be as long as the app said."""
    found = finish(Entry(b"", 200, tuple((b"content-length", line) for line in lines)), b"key", b"hello")
    assert is_stored(found) is is_whole
    if isinstance(found, Entry):
        assert (found.full, found.body) == (b"key", b"hello")


def test_how_long_it_is_of_use() -> None:
    """As long as it may be served stale, or asked after."""
    entry = Entry(b"key", 200, received=NOW, age=10.0, lifetime=60.0, sie=100.0)
    assert keep_seconds(entry, SAFE, NOW) == 150
    assert keep_seconds(entry, SAFE, NOW + 200) == 0
    asked = Entry(b"key", 200, received=NOW, age=1000.0, lifetime=60.0, etag=b'"x"')
    assert keep_seconds(asked, SAFE, NOW) == SAFE.keep
    assert keep_seconds(Entry(b"key", 200, lifetime=2.0**31, swr=2.0**31), SAFE, 0) == 2.0**31


# ---------------------------------------------------------------- by chance

CONTROL = st.lists(
    st.sampled_from(
        ["public", "private", "no-store", "no-cache", "must-revalidate", "proxy-revalidate", "must-understand",
         "max-age=60", "max-age=0", "max-age=-1", "max-age=99999999999", "s-maxage=60", "s-maxage=x", "max-age",
         "stale-while-revalidate=60", "stale-if-error=99999999999", 'no-cache="a"', 'private="a"', "foo", '"', ";"]
    ),
    max_size=5,
).map(", ".join).map(str.encode)  # fmt: skip
DATES = st.one_of(
    st.integers(-(2**33), 2**33).map(lambda delta: dates.write(NOW + delta)),
    st.sampled_from([b"0", b"", b"foo", b"Thu Aug  8 02:01:18 2050"]),
)
FIELD = st.one_of(
    st.tuples(st.sampled_from([b"cache-control", b"Cache-Control", b"cdn-cache-control"]), CONTROL),
    st.tuples(st.sampled_from([b"date", b"expires", b"last-modified"]), DATES),
    st.tuples(st.just(b"age"), st.sampled_from([b"0", b"-1", b"99999999999", b"30, 5", b"x"])),
    st.tuples(st.just(b"vary"), st.sampled_from([b"*", b"cookie", b"a, b", b"", b"a b"])),
    st.tuples(
        st.sampled_from([b"set-cookie", b"etag", b"pragma", b"cache-groups", b"connection", b"x"]),
        st.one_of(st.binary(max_size=10), st.sampled_from([b"no-cache", b'"a"'])),
    ),
)
RESPONSES = st.builds(
    Response,
    st.one_of(st.integers(0, 1000), st.sampled_from([200, 200, 200, 301, 404, 206, 503])),
    st.lists(FIELD, max_size=6),
    st.just(NOW),
    st.floats(-1, 100),
)
RULE = st.one_of(st.none(), st.builds(Rule, ttl=st.floats(), swr=st.floats(), sie=st.floats()))
PASSAGES = st.sampled_from([PLAIN, COOKIE, BEARER, API_KEY])


@settings(max_examples=1000)
@given(RESPONSES, st.sampled_from(PROFILES), RULE, PASSAGES)
def test_numbers_stay_within_their_bounds(
    response: Response, profile: Profile, rule: Rule | None, passage: Passage
) -> None:
    """Nothing fails; no time is negative, not a number, or over 2^31."""
    found = judge(passage, response, profile, rule)
    if isinstance(found, Entry):
        times = (found.age, found.lifetime, found.swr, found.sie)
        assert all(0 <= seconds <= MOST_SECONDS for seconds in times)
        assert 0 <= keep_seconds(found, profile, NOW + 5) <= MOST_SECONDS
        assert found.cost >= 0
    else:
        assert found.reason is not Reason.NONE
        assert found.seconds >= 0


@settings(max_examples=1000)
@given(RESPONSES, RULE, PASSAGES)
def test_the_safe_profile_stores_nothing_of_one_person(response: Response, rule: Rule | None, passage: Passage) -> None:
    """However a response is put together."""
    found = judge(passage, response, SAFE, rule)
    if not isinstance(found, Entry):
        return
    lines = [(name.lower(), value.lower()) for name, value in response.fields]
    said = b", ".join(value for name, value in lines if name == b"cache-control")
    assert b"no-store" not in said
    assert b"private" not in said
    assert not any(name == b"set-cookie" for name, _ in lines)
    assert not any(name == b"vary" and b"*" in value for name, value in lines)
    assert response.status in SAFE_STATUSES
    if passage is not PLAIN:
        assert found.explicit
        assert rule or b"public" in said or b"s-maxage" in said or any(n == b"cdn-cache-control" for n, _ in lines)


ORDER = [
    (b"cache-control", b"public"),
    (b"cache-control", b"max-age=60"),
    (b"set-cookie", b"a=b"),
    (b"vary", b"cookie"),
    (b"expires", b"0"),
    (b"cache-control", b"private"),
]


def test_the_order_of_fields_does_not_matter() -> None:
    """Each set of fields is decided the same way, whichever comes first."""
    for size in range(len(ORDER) + 1):
        for chosen in combinations(ORDER, size):
            for profile in PROFILES:
                one = judge(PLAIN, Response(200, list(chosen), NOW), profile)
                other = judge(PLAIN, Response(200, list(reversed(chosen)), NOW), profile)
                assert reason(one) is reason(other)


@pytest.mark.parametrize("status", [302, 307, 400, 500, 503, 599])
def test_a_validator_alone_makes_no_error_storable(status: int) -> None:
    """What says nothing of caching, and whose status says nothing either, is not kept to be revalidated (section 3)."""
    etag = (b"etag", b'"x"')
    assert not is_stored(judge(PLAIN, Response(status, [etag], NOW), RFC))
    assert is_stored(judge(PLAIN, control("max-age=0", etag, status=status), RFC))
    assert is_stored(judge(PLAIN, Response(404, [etag], NOW), RFC))


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_malformed_number_shares_nothing(profile: Profile) -> None:
    """The answer to a request with credentials is for others only by an s-maxage that is one (section 3.5)."""
    bearer = ask("GET", [(b"authorization", b"Bearer x")], profile)
    etag = (b"etag", b'"x"')
    assert reason(judge(bearer, control("max-age=600, s-maxage=x", etag), profile)) is Reason.AUTHORIZATION
    assert is_stored(judge(bearer, control("s-maxage=600", etag), profile))
