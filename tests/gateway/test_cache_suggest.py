"""`--cache suggest` changes nothing, and finds out what could be answered from cache and what must not be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache import measured
from hotplate.cache.measured import Suggestion
from hotplate.cache.service import Cache
from hotplate.gateway.caching.patterns import Patterns
from tests.gateway.cache_site import Site, Views, eventually

HTML = {"Content-Type": "text/html"}


@pytest.fixture(autouse=True)
def _written_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotplate.gateway.caching.measures._EVERY", 0.05)


def suggesting(app: Any, folder: Path, **settings: Any) -> Site:
    """Return a site in the mode under test."""
    return Site(app, cache="suggest", folder=str(folder), **settings)


def found(folder: Path, route: str, requests: int) -> Suggestion:
    """Return what was written of a route, once all its requests are in it."""

    def look() -> Suggestion | None:
        return next(
            (each for each in measured.read(folder).routes if (each.route, each.requests) == (route, requests)), None
        )

    eventually(look, f"{route} is written")
    each = look()
    assert each is not None
    return each


def test_everything_is_answered_by_the_app(tmp_path: Path) -> None:
    """Even what it declares cacheable."""
    view = Views({**HTML, "Cache-Control": "public, max-age=60"})
    with suggesting(view, tmp_path) as site:
        bodies = [site.get("/").body for _ in range(3)]
        assert "cache-status" not in site.get("/").fields
    assert bodies == [b"call 1", b"call 2", b"call 3"]


def test_a_page_that_is_the_same_for_all_gets_a_rule(tmp_path: Path) -> None:
    """Pages of one route that two visitors got alike could be answered from cache; the time is added up."""
    view = Views(HTML, body=b"the same")
    with suggesting(view, tmp_path) as site:
        for number, visitor in itertools.product(range(5), "abc"):
            site.get(f"/articles/{number}", cookie=f"session={visitor}")
    each = found(tmp_path, "/articles/*", 15)
    assert (each.requests, each.hits, each.mismatches) == (15, 10, 0)
    assert each.rule == "/articles/* ttl=60s"
    assert each.seconds_saved > 0
    assert site.cache.counters.totals()["suggested_hits"] == 10


def test_a_rule_that_is_suggested_can_be_read() -> None:
    """It is what `cache_routes` takes, whatever the paths were."""
    from hotplate.cache.http.routes import parse_rule

    patterns = Patterns()
    for path in (b"/", b"/articles/17", b"/a/b/c/d/e/f/g/h/i/j", b"/%C3%A4/x"):
        pattern, _rule = parse_rule(f"{patterns.of(path)} ttl=60s")
        assert pattern.fullmatch(path)


def by_visitor(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """A page with the visitor's name on it, of an app that says nothing about caching."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"Hello " + environ.get("HTTP_COOKIE", "stranger").encode()]


def test_a_page_that_differs_between_visitors_gets_none(tmp_path: Path) -> None:
    """Every time one visitor would have got another one's page is a mismatch."""
    with suggesting(by_visitor, tmp_path) as site:
        for visitor in "abab" * 10:
            site.get("/home", cookie=f"name={visitor}")
    each = found(tmp_path, "/home", 40)
    assert each.mismatches == 20
    assert (each.rule, each.why) == ("", "it differs between visitors")


def test_a_page_that_changes_gets_none(tmp_path: Path) -> None:
    """A counter, a clock or a token in the page is a mismatch."""
    with suggesting(Views(HTML), tmp_path) as site:
        for _ in range(20):
            site.get("/")
    each = found(tmp_path, "/", 20)
    assert (each.mismatches, each.rule, each.why) == (19, "", "it changes within 60 s")


@pytest.mark.parametrize("field", [("Cache-Control", "private"), ("Set-Cookie", "a=b"), ("Vary", "*")])
def test_what_the_app_forbids_is_no_suggestion(tmp_path: Path, field: tuple[str, str]) -> None:
    """No rule can lift it, so it is only said why."""
    with suggesting(Views({**HTML, field[0]: field[1]}, body=b"same"), tmp_path) as site:
        for visitor in "ab" * 10:
            site.get("/", cookie=visitor)
    each = found(tmp_path, "/", 20)
    assert (each.hits, each.rule) == (0, "")
    assert each.why


def test_a_change_by_the_site_is_no_mismatch(tmp_path: Path) -> None:
    """What a POST invalidates would not have been served."""
    view = Views(HTML)
    with suggesting(view, tmp_path) as site:
        for _ in range(5):
            site.get("/page")
            site.get("/page", "POST")
    each = found(tmp_path, "/page", 5)
    assert (each.requests, each.hits, each.mismatches) == (5, 0, 0)


def test_one_visitor_alone_proves_nothing(tmp_path: Path) -> None:
    """However often he gets the same page."""
    with suggesting(Views(HTML, body=b"same"), tmp_path) as site:
        for _ in range(30):
            site.get("/me", cookie="session=1")
    assert found(tmp_path, "/me", 30).why == "only one visitor was seen, so it may be his own"


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    """Neither invented URLs nor invented paths grow it without end."""
    from hotplate.gateway.caching import suggest as cache_suggest

    with suggesting(Views(HTML, body=b"same"), tmp_path) as site:
        for number in range(500):
            site.get(f"/x{number % 7}/{'abcdefghijklmnopqrstuvwxyz'[number % 26]}/y{number}?q={number}")
    assert len(measured.read(tmp_path).routes) <= cache_suggest._MOST_ROUTES


@given(st.lists(st.binary(max_size=60), max_size=200))
def test_patterns_are_few_and_cover_their_paths(paths: list[bytes]) -> None:
    """Whatever the paths, each has a pattern, and one path keeps one pattern once its place is full."""
    patterns = Patterns()
    for path in paths:
        patterns.of(b"/" + path)
    for path in paths:
        assert patterns.of(b"/" + path) == patterns.of(b"/" + path)
    assert len(patterns._names) <= 512


def test_reasons_are_told_in_every_mode(tmp_path: Path) -> None:
    """Why responses were not kept is counted by code."""
    with Site(Views({**HTML, "Cache-Control": "private"}), folder=str(tmp_path)) as site:
        site.get("/")
        site.get("/other")
    eventually(lambda: measured.read(tmp_path).reasons == {"private": 2}, "both are told")


def test_the_cache_of_a_site_has_its_folder(tmp_path: Path) -> None:
    """What the other tests rely on."""
    with Site(Views(HTML), folder=str(tmp_path)) as site:
        assert isinstance(site.cache, Cache)
        assert site.cache.folder == str(tmp_path)
