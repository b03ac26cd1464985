"""Rules of routes: what they say, what they are for, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http.profile import Rule
from hotplate.cache.http.routes import Routes, parse_rule
from hotplate.errors import ExitCode, HotplateError

RULES = {
    "/ ttl=5": Rule(ttl=5, is_default=True),
    "  /a/*   ttl=1m30s swr=30s sie=1h ": Rule(ttl=90, swr=30, sie=3600, is_default=True),
    "/a tags=b,a,b ttl=1s": Rule(ttl=1, tags=("b", "a"), is_default=True),
    "/a tags=article:7,a/b ttl=1s": Rule(ttl=1, tags=("article:7", "a/b"), is_default=True),
    "/a ttl=1s vary=Accept-Language,accept": Rule(ttl=1, vary=(b"accept", b"accept-language"), is_default=True),
}
REFUSED = {
    "": "does not begin with a path",
    "articles ttl=1s": "does not begin with a path",
    "/é ttl=1s": "does not begin with a path",
    "/a?b=c ttl=1s": "does not begin with a path",
    "/a": "ttl is missing",
    "/a ttl=0": "ttl is missing, or 0",
    "/a ttl=": "'ttl=' is not a duration",
    "/a ttl=5x": "'ttl=5x' is not a duration",
    "/a ttl=-5": "'ttl=-5' is not a duration",
    "/a ttl=99999999d": "longer than any cache",
    "/a ttl=1s swr=x": "'swr=x' is not a duration",
    "/a ttl=1s ttl=2s": "ttl stands there twice",
    "/a ttl=1s colour=red": "'colour=red' is none of its options",
    "/a ttl=1s public": "'public' is none of its options",
    "/a ttl=1s tags=": "'tags=' is not a list",
    "/a ttl=1s tags=a,,b": "'tags=a,,b' is not a list",
    "/a ttl=1s vary=a:b": "'vary=a:b' is not a list",
    "/a ttl=1s vary=*": "'vary=*' is not a list",
}


@pytest.mark.parametrize(("text", "rule"), RULES.items(), ids=RULES)
def test_rules(text: str, rule: Rule) -> None:
    """A rule says how long, and what else there is to say."""
    assert parse_rule(text)[1] == rule


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_rule_is_refused(text: str, words: str) -> None:
    """The line quotes the rule, says what is wrong with it, and how it is written."""
    with pytest.raises(HotplateError) as caught:
        Routes(["/good ttl=1s", text])
    assert caught.value.code is ExitCode.USAGE
    assert repr(text) in str(caught.value)
    assert words in str(caught.value)


@given(st.text(max_size=60).map(lambda text: "/" + text))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a rule or a refusal."""
    try:
        found = parse_rule(text)[1]
    except HotplateError:
        return
    assert found.ttl > 0


MATCHES = {
    ("/news", b"/news"): True, ("/news", b"/news/"): False, ("/news", b"/new"): False, ("/news", b"/News"): False,
    ("/news/*", b"/news/7"): True, ("/news/*", b"/news/7/8"): True, ("/news/*", b"/news/"): True,
    ("/news/*", b"/news"): False, ("/news/*", b"/old/news/7"): False, ("/*.html", b"/a/b.html"): True,
    ("/*.html", b"/a.html.html"): True, ("/*.html", b"/a.htmlx"): False, ("/*/print", b"/a/print"): True,
    ("/*/print", b"/a/print/b"): False, ("/*/x/*/y", b"/a/x/b/x/c/y"): True, ("/*a*a*b", b"/aab"): True,
    ("/*a*a*b", b"/ab"): False, ("/a.b", b"/axb"): False, ("/a%20b", b"/a%20b"): True, ("/*", b"/"): True,
    ("/a;b", b"/a;b"): True,  # named letter by letter, so it is meant
}  # fmt: skip


@pytest.mark.parametrize(("pair", "is_match"), MATCHES.items(), ids=repr)
def test_matching(pair: tuple[str, bytes], is_match: bool) -> None:
    """A pattern is the whole path as it is sent, with * for any text."""
    assert (Routes([f"{pair[0]} ttl=1s"]).find(pair[1]) is not None) is is_match


DECEPTIVE = [
    b"/news/..%2faccount", b"/news/..%2Faccount", b"/news/../account", b"/news/./a", b"/news/%2e%2e/account",
    b"/news/.%2e/account", b"/news/..", b"/news/.", b"/news//account", b"/news/..\\account", b"/news/%5caccount",
    b"/news/a;b.css", b"/news/%3b", b"/news/a%00", b"/news/%252f", b"/news/%25252e%25252e/a", b"/news/a\nb",
    b"/news/a b", b"/news/\xc3\xa9",
]  # fmt: skip


@pytest.mark.parametrize("path", DECEPTIVE)
def test_no_rule_for_a_path_that_may_mean_another(path: bytes) -> None:
    """Where proxy, cache and app may read a path in different ways, a rule with * does not count."""
    assert Routes(["/news/* ttl=1s"]).find(path) is None


def test_the_first_rule_counts() -> None:
    """Rules are tried in the order in which they are written."""
    routes = Routes(["/a/b ttl=1s", "/a/* ttl=2s"])
    assert [rule.ttl for path in (b"/a/b", b"/a/c") if (rule := routes.find(path))] == [1.0, 2.0]
    assert routes
    assert not Routes([])
    assert Routes([]).find(b"/a/b") is None


def test_long_paths_are_read_in_one_go() -> None:
    """A client cannot make a pattern work hard."""
    assert Routes(["/*a*b*c*d*e*f*z ttl=1s"]).find(b"/" + b"abcdef" * 5000) is None
