"""Rules for routes: what they say, what they are for, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache import routes
from hotplate.cache.profile import Rule, rfc, safe
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings
from hotplate.settings.refused import RefusedError

RULES = {
    "/ ttl=5": Rule(ttl=5),
    "/a/* ttl=1m30s swr=30s sie=1h": Rule(ttl=90, swr=30, sie=3600),
    "/a tags=b,a,b ttl=1s": Rule(ttl=1, tags=("b", "a")),
    "/a ttl=1s vary=Accept-Language,accept": Rule(ttl=1, vary=(b"accept", b"accept-language")),
    "/a ttl=1s default": Rule(ttl=1, is_default=True),
}
REFUSED = {
    "/a": "ttl=60s",
    "/a ttl=": "'ttl='",
    "/a ttl=0": "'ttl=0'",
    "/a ttl=5x": "not a duration",
    "/a ttl=1s ttl=2s": "twice",
    "/a ttl=1s colour=red": "'colour=red' is none of",
    "/a?b=c ttl=1s": "path without a query",
    "/a ttl=1s tags=": "'tags='",
    "/a ttl=1s tags=a,,b": "'tags=a,,b'",
    "/a ttl=1s vary=a:b": "request fields",
    "/a ttl=1s default=1": "no value",
    "/a ttl=99999999d": "'ttl=",
}


@pytest.mark.parametrize(("text", "rule"), RULES.items(), ids=RULES)
def test_rules(text: str, rule: Rule) -> None:
    """A rule says how long, and what else there is to say."""
    assert routes.parse(text).rule == rule


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_rule_is_quoted(text: str, words: str) -> None:
    """The line quotes the rule, names the word, and says what would be right."""
    with pytest.raises(HotplateError) as caught:
        routes.of(Settings(cache_routes=("/good ttl=1s", text)), "hotplate.toml")
    assert caught.value.code is ExitCode.USAGE
    line = str(caught.value)
    assert f"{text!r} (hotplate.toml)" in line
    assert words in line


@given(st.text(max_size=60).map(lambda text: "/" + text))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a rule or a refusal."""
    try:
        assert routes.parse(text).rule.ttl > 0
    except RefusedError as problem:
        assert problem.right  # noqa: PT017  most texts are refused


MATCHES = {
    ("/news", "/news"): True, ("/news", "/news/"): False, ("/news", "/new"): False,
    ("/news/*", "/news/7"): True, ("/news/*", "/news/7/8"): True, ("/news/*", "/news/"): True,
    ("/news/*", "/news"): False, ("/news/*", "/old/news/7"): False, ("/*.html", "/a/b.html"): True,
    ("/*/print", "/a/print"): True, ("/*/print", "/a/print/b"): False, ("/a.b", "/axb"): False,
    ("/a%20b", "/a%20b"): True, ("/a%20b", "/a b"): False, ("/*", "/a\nb"): True,
}  # fmt: skip


@pytest.mark.parametrize(("pair", "is_match"), MATCHES.items(), ids=lambda each: str(each))
def test_matching(pair: tuple[str, str], is_match: bool) -> None:
    """A pattern is the whole path as it is sent, with * for any text."""
    found = routes.Routes([routes.parse(f"{pair[0]} ttl=1s")]).find(pair[1].encode())
    assert (found is not None) is is_match


DECEPTIVE = [
    "/news/..%2faccount", "/news/..%2Faccount", "/news/../account", "/news/./a", "/news/%2e%2e/account", "/news/..",
    "/news//account", "/news/..\\account", "/news/%5caccount", "/news/a;b.css", "/news/%3b", "/news/a%00", "/news/%252f",
]  # fmt: skip


@pytest.mark.parametrize("path", DECEPTIVE)
def test_no_rule_for_a_path_that_may_mean_another(path: str) -> None:
    """Where proxy, cache and app may read a path in different ways, a rule with * does not count."""
    assert routes.Routes([routes.parse("/news/* ttl=1s")]).find(path.encode()) is None


def test_the_first_rule_counts() -> None:
    """Rules are tried in the order in which they are written."""
    found = routes.of(Settings(cache_routes=("/a/b ttl=1s", "/a/* ttl=2s"))).find
    assert [route.rule.ttl for path in (b"/a/b", b"/a/c") if (route := found(path))] == [1.0, 2.0]
    assert routes.of(Settings()).find(b"/a/b") is None


def test_the_profile_of_the_settings() -> None:
    """Cookies and hosts of the settings are in the profile of their name; usual ports are left out of hosts."""
    settings = Settings(cache_ignore_cookies=("_ga*",), cache_hosts=("a.example:443", "b.example:8000"))
    hosts = frozenset({b"a.example", b"b.example:8000"})
    assert routes.profile(settings) == safe(ignored_cookies=(b"_ga*",), hosts=hosts)
    assert routes.profile(Settings(cache_profile="rfc")) == rfc()
