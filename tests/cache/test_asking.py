"""What a request allows: looked up and stored where it is like any other, and never past what it says of somebody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http.asking import PLAIN, Passage, ask
from hotplate.cache.http.profile import Profile, rfc, safe
from hotplate.cache.http.reasons import Reason

Fields = list[tuple[bytes, bytes]]
BROWSER: Fields = [
    (b"host", b"a"),
    (b"user-agent", b"Mozilla/5.0"),
    (b"accept", b"text/html"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip"),
    (b"x-forwarded-for", b"192.0.2.1"),
]
PROFILES = [safe(), rfc()]


def named(profile: Profile) -> str:
    """Return its name, for test ids."""
    return profile.name


def asked(*fields: tuple[bytes, bytes], profile: Profile | None = None, method: str = "GET") -> Passage:
    """Return what a browser's request with these fields besides allows."""
    return ask(method, [*BROWSER, *fields], profile or safe(), host=b"a")


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_plain_request(profile: Profile) -> None:
    """A browser's first request makes no object of its own."""
    assert ask("GET", BROWSER, profile) is PLAIN


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_head_is_looked_up_and_not_stored(profile: Profile) -> None:
    """There is no body to store."""
    for passage in (ask("HEAD", BROWSER, profile), ask("HEAD", [*BROWSER, (b"range", b"bytes=0-1")], profile)):
        assert (passage.lookup, passage.store, passage.reason) == (True, False, Reason.HEAD)


METHODS = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY", "get", "M-SEARCH", "", "GET "]


@pytest.mark.parametrize("profile", PROFILES, ids=named)
@pytest.mark.parametrize("method", METHODS)
def test_other_methods_pass_by(method: str, profile: Profile) -> None:
    """Methods are told apart letter by letter."""
    passage = ask(method, BROWSER, profile)
    assert (passage.lookup, passage.store, passage.reason) == (False, False, Reason.METHOD)


FOR_THE_APP = {
    b"if-match": Reason.PRECONDITION,
    b"if-unmodified-since": Reason.PRECONDITION,
    b"expect": Reason.PRECONDITION,
    b"x-http-method-override": Reason.OVERRIDE,
    b"x-http-method": Reason.OVERRIDE,
    b"x-method-override": Reason.OVERRIDE,
}


@pytest.mark.parametrize("profile", PROFILES, ids=named)
@pytest.mark.parametrize(("name", "reason"), FOR_THE_APP.items(), ids=repr)
def test_what_only_the_app_can_decide_passes_by(name: bytes, reason: Reason, profile: Profile) -> None:
    """Its answer is about this request's condition, or that of another method."""
    passage = asked((name, b"x"), profile=profile)
    assert (passage.lookup, passage.store, passage.reason) == (False, False, reason)


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_a_body_passes_by(profile: Profile) -> None:
    """An app that reads the body of a GET answers it, and the key would not know."""
    assert ask("GET", BROWSER, profile, has_body=True).reason is Reason.BODY


HOSTS = {b"a.example": True, b"A.Example": True, b"a.example:80": True, b"a.example:443": True, b"": False,
         b"a.example:8000": False, b"b.example": False, b"a.example.": False, b"x.a.example": False}  # fmt: skip


@pytest.mark.parametrize(("host", "is_known"), HOSTS.items(), ids=repr)
def test_unknown_hosts_pass_by(host: bytes, is_known: bool) -> None:
    """Where hosts are named, no other is looked up or stored."""
    passage = ask("GET", BROWSER, safe(hosts=frozenset({b"a.example"})), host=host)
    assert passage.lookup is passage.store is is_known
    assert ask("GET", BROWSER, safe(), host=host) is PLAIN


PERSONAL = [b"authorization", b"cookie", b"x-api-key", b"x-forwarded-user", b"x-auth-token", b"proxy-authorization"]


@pytest.mark.parametrize("name", PERSONAL)
def test_who_says_who_they_are_is_personal(name: bytes) -> None:
    """In the safe profile; the other one does what RFC 9111 says, which knows of Authorization alone."""
    passage = asked((name, b"a=b"))
    assert passage.is_personal
    assert passage.lookup
    assert passage.store
    assert not asked((name, b"a=b"), profile=rfc()).is_personal
    for profile in PROFILES:
        assert asked((name, b"a=b"), profile=profile).has_credentials is (name == b"authorization")


COOKIES = {
    b"": False,
    b";": False,
    b"_ga=1": False,
    b"_ga=1; theme=dark": False,
    b"theme=dark;_ga_X1=GS1.1;": False,
    b"_ga=1; session=abc": True,
    b"session=abc": True,
    b"x_ga=1": True,
    b"_gid=1": True,
    b"Theme=dark": True,
    b"themes=dark": True,
    b"_ga": True,  # no name
    b"=_ga": True,
    b"_ga session=1; theme=x": False,  # _ga* is any text, and a space in a name is none of a login's
    b"a=_ga=1": True,
    b'_ga="; session=abc': True,
    b"_ga=1\nsession=abc": False,
}


@pytest.mark.parametrize(("cookie", "counts"), COOKIES.items(), ids=repr)
def test_ignored_cookies(cookie: bytes, counts: bool) -> None:
    """A request is personal by any cookie whose name is not among the ignored ones."""
    profile = safe(ignored_cookies=(b"_ga*", b"theme"))
    assert asked((b"cookie", cookie), profile=profile).is_personal is counts
    assert asked((b"cookie", b"_ga=1"), (b"cookie", cookie), profile=profile).is_personal is counts


def test_no_store() -> None:
    """Its response is not stored; a stored one may answer it, but not where clients are heeded in all."""
    for profile, looks in ((safe(), True), (rfc(), False)):
        passage = asked((b"cache-control", b"No-Store"), profile=profile)
        assert (passage.lookup, passage.store, passage.reason) == (looks, False, Reason.REQUEST_NO_STORE)


@pytest.mark.parametrize("profile", PROFILES, ids=named)
def test_only_if_cached(profile: Profile) -> None:
    """Heard in both profiles."""
    assert asked((b"cache-control", b"max-stale, only-if-cached"), profile=profile).only_if_cached


WANTS: dict[tuple[bytes, bytes], bool] = {
    (b"cache-control", b"no-cache"): True,
    (b"cache-control", b"max-age=0"): True,
    (b"cache-control", b"max-age=nonsense"): True,
    (b"cache-control", b"min-fresh=5"): True,
    (b"cache-control", b"max-stale"): True,
    (b"cache-control", b"no-transform"): False,
    (b"cache-control", b"nothing-to-see-here"): False,
    (b"cache-control", b""): False,
    (b"pragma", b"no-cache"): True,
    (b"pragma", b"foo, No-Cache"): True,
    (b"pragma", b"max-age=0"): False,
    (b"pragma", b"no-store"): False,
}


@pytest.mark.parametrize(("field", "counts"), WANTS.items(), ids=repr)
def test_what_the_client_wants(field: tuple[bytes, bytes], counts: bool) -> None:
    """Heeded in the profile of RFC 9111; in the safe one nobody can send every request on to the app."""
    assert (asked(field, profile=rfc()).wants is not None) is counts
    assert asked(field).wants is None


def test_cache_control_comes_before_pragma() -> None:
    """Pragma counts where there is no Cache-Control (RFC 9111, section 5.4)."""
    assert asked((b"pragma", b"no-cache"), (b"cache-control", b"foo"), profile=rfc()).wants is None


def test_conditions_and_ranges_are_told() -> None:
    """The layer sends them on, or leaves them out."""
    passage = asked((b"if-none-match", b'"x"'), (b"range", b"bytes=0-1"))
    assert passage.has_condition
    assert passage.has_range
    assert passage.store
    assert asked((b"if-modified-since", b"x")).has_condition


@pytest.mark.parametrize(
    "name", [b"x-forwarded-host", b"x-forwarded-proto", b"x-original-url", b"x-rewrite-url", b"x-forwarded-prefix"]
)
def test_what_may_be_taken_for_the_url_is_part_of_the_key(name: bytes) -> None:
    """Who forges it poisons nobody's page but its own."""
    extras = {asked((name, value)).extra for value in (b"", b"evil", b"evil2")} | {asked().extra}
    assert len(extras) == 4
    assert asked((name, b"a"), (name, b"b")).extra != asked((name, b"ab")).extra


def test_a_proxy_that_says_what_the_url_says_changes_no_key() -> None:
    """Behind one, a page has the key that it has without; lists and other hosts do not pass for that."""
    told = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a.example")]
    assert ask("GET", told, safe(), host=b"a.example").extra == b""
    for field in (
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-host", b"evil.example, a.example"),
        (b"x-forwarded-proto", b"http, https"),
        (b"x-forwarded-proto", b"HTTP"),
        (b"x-forwarded-scheme", b"http"),
    ):
        assert ask("GET", [*told, field], safe(), host=b"a.example").extra


NAMES = st.sampled_from(
    [
        b"cookie",
        b"authorization",
        b"cache-control",
        b"pragma",
        b"range",
        b"if-match",
        b"x-host",
        b"accept",
        b"x-api-key",
    ]
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=6)


@given(st.sampled_from(["GET", "HEAD", "POST"]), FIELDS, st.sampled_from(PROFILES), st.booleans())
def test_nothing_fails_and_no_reason_is_missing(method: str, fields: Fields, profile: Profile, has_body: bool) -> None:
    """Whatever a client sends, it is decided, and what is refused says why."""
    passage = ask(method, fields, profile, has_body=has_body)
    assert (passage.reason is Reason.NONE) == (passage.lookup and passage.store)
    assert not (passage.store and (method != "GET" or has_body or not passage.lookup))
