"""The backend for Flask-Caching: cachelib's interface on the shared store, and what the real extension does with it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_caching import Cache as FlaskCaching
from flask_caching import CachedResponse

from hotplate.cache import service
from hotplate.cache.cachelib import HotplateCache
from hotplate.errors import HotplateError
from hotplate.settings import Settings
from tests.cache.opened import Clock, open_cache
from tests.support.gateway_process import ROOT


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A fresh cache, and its clock."""
    return open_cache(monkeypatch)[1]


def test_it_is_a_cache_of_cachelib(clock: Clock) -> None:
    """Get, set, add, delete, has and clear do what cachelib says they do."""
    cache = HotplateCache(default_timeout=10)
    assert (cache.get("a"), cache.has("a"), cache.delete("a")) == (None, False, False)
    assert cache.set("a", [1, (2,)])
    assert (cache.get("a"), cache.has("a")) == ([1, (2,)], True)
    assert not cache.add("a", 2)
    assert cache.add("b", None)
    assert (cache.get("b"), cache.has("b")) == (None, True)
    assert cache.delete("a")
    assert not cache.has("a")
    assert cache.set("a", "new")
    clock.ahead = 11.0
    assert not cache.has("a")
    assert cache.set("long", 1, timeout=20)
    assert cache.set("days", 1, timeout=timedelta(days=2))
    assert cache.set("ever", 1, timeout=0)
    assert not cache.set("past", 1, timeout=-1)
    clock.ahead = 86400.0
    assert [cache.has(each) for each in ("long", "days", "ever", "past")] == [False, True, True, False]
    assert cache.clear()
    assert not cache.has("ever")
    assert cache.set("ever", 2)
    assert cache.get("ever") == 2


def test_many_at_once() -> None:
    """The methods for many keys."""
    cache = HotplateCache()
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert cache.get_many("a", "x", "b") == [1, None, 2]
    assert cache.get_dict("a", "x") == {"a": 1, "x": None}
    assert cache.delete_many("a", "b") == ["a", "b"]
    assert cache.get_many("a", "b") == [None, None]


def test_prefixes_keep_apart() -> None:
    """Two apps with other prefixes in one store neither see nor clear each other's values."""
    one, other = HotplateCache(key_prefix="one"), HotplateCache(key_prefix="other")
    one.set("a", 1), other.set("a", 2)
    assert (one.get("a"), other.get("a")) == (1, 2)
    one.clear()
    assert (one.get("a"), other.get("a")) == (None, 2)


def test_numbers_are_counted_by_all(tmp_path: Path) -> None:
    """Counting loses nothing, in threads and in processes at once."""
    place = str(tmp_path / "cache")
    source = """
from concurrent.futures import ThreadPoolExecutor
from hotplate.cache.cachelib import HotplateCache
cache = HotplateCache()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: cache.inc("n", 2), range(50)))
    list(pool.map(lambda _: cache.dec("n"), range(50)))
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", source], env={"PYTHONPATH": str(ROOT / "src"), "HOTPLATE_CACHE_DIR": place}
        )
        for _ in range(2)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    service.open_with(Settings(), place)
    try:
        assert HotplateCache().get("n") == 100
        with ThreadPoolExecutor(8) as pool:
            added = list(pool.map(lambda _: HotplateCache().add("one", 1), range(8)))
        assert added.count(True) == 1
    finally:
        service.close()


def test_what_cannot_be_kept_is_refused() -> None:
    """Nothing is pickled: what has no safe form is an error that says what to do."""
    with pytest.raises(HotplateError, match="Cannot cache a value: it is an object"):
        HotplateCache().set("a", object())


class Site:
    """A Flask app with Flask-Caching on the backend."""

    def __init__(self) -> None:
        self.calls = 0
        self.app = flask.Flask("site")
        self.app.config.update(
            CACHE_TYPE="hotplate.cache.cachelib.HotplateCache", CACHE_OPTIONS={"key_prefix": "site"}, TESTING=True
        )
        self.cache = FlaskCaching(self.app)

    def view(self, makes: Any, **given: Any) -> None:
        """Serve `/` with a cached view."""

        def view() -> Any:
            self.calls += 1
            return makes(self.calls)

        self.app.add_url_rule("/", view_func=self.cache.cached(timeout=60, **given)(view))

    def get(self, path: str = "/") -> Any:
        """Ask for a page."""
        return self.app.test_client().get(path)


@pytest.fixture
def site() -> Site:
    """A site."""
    return Site()


@pytest.mark.parametrize(
    "makes",
    [
        lambda n: f"page {n}",
        lambda n: f"page {n}".encode(),
        lambda n: {"page": n},
        lambda n: [n],
        lambda n: (f"page {n}", 201),
        lambda n: (f"page {n}", 201, {"X-Number": str(n)}),
        lambda n: flask.jsonify(page=n),
        lambda n: flask.Response(f"page {n}", 404, {"X-Number": str(n), "Vary": "Accept"}, mimetype="text/plain"),
        lambda n: CachedResponse(flask.make_response(f"page {n}"), timeout=50),
        lambda n: flask.render_template_string("<b>{{ n }}</b>", n=n),
        lambda n: (each for each in ["page ", str(n)]),
    ],
    ids=["text", "bytes", "dict", "list", "status", "fields", "json", "response", "timeout", "template", "generator"],
)
def test_what_views_return_is_kept(site: Site, makes: Any) -> None:
    """Everything a view commonly returns is kept, and answers the same."""
    site.view(makes)
    first, second = site.get(), site.get()
    assert site.calls == 1
    assert (second.status, second.data) == (first.status, first.data)
    assert sorted(second.headers) == sorted(first.headers)


def test_another_process_reads_responses(site: Site) -> None:
    """A worker that has not made a response yet reads another's."""
    HotplateCache().set("a", flask.Response("page", 201))
    found = HotplateCache().get("a")
    assert type(found) is flask.Response
    assert (found.status_code, found.data) == (201, b"page")


@pytest.mark.parametrize("kind", ["cookie", "stream"])
def test_what_is_one_persons_is_not_kept(site: Site, kind: str) -> None:
    """A response that sets a cookie, or is streamed, is answered and not kept."""

    def makes(number: int) -> flask.Response:
        if kind == "stream":
            return flask.Response(each for each in ["page ", str(number)])
        response = flask.Response(f"page {number}")
        response.set_cookie("session", "secret")
        return response

    site.view(makes)
    assert (site.get().data, site.get().data) == (b"page 1", b"page 2")


def test_errors_are_not_kept(site: Site) -> None:
    """A 404 is asked for again, and that is no fault of the backend's."""
    site.view(lambda _: flask.abort(404))
    assert (site.get().status_code, site.get().status_code, site.calls) == (404, 404, 2)


def test_query_strings(site: Site) -> None:
    """With `query_string=True` pages differ by their queries, in whatever order."""
    site.view(lambda n: f"page {n}", query_string=True)
    pages = [site.get(path).data for path in ("/?a=1&b=2", "/?b=2&a=1", "/?a=2", "/")]
    assert pages == [b"page 1", b"page 1", b"page 2", b"page 3"]


def test_memoize(site: Site) -> None:
    """Functions are memoized by their arguments, and forgotten by call, by function, or all at once."""
    calls = []

    @site.cache.memoize(60)
    def add(a: int, b: int = 1) -> dict[str, Any]:
        calls.append(1)
        return {"sum": a + b, "calls": len(calls), "kinds": {a, b}}

    with site.app.app_context():
        assert add(1) == add(1, 1) == {"sum": 2, "calls": 1, "kinds": {1}}
        assert add(2)["calls"] == 2
        site.cache.delete_memoized(add, 1)
        assert (add(1)["calls"], add(2)["calls"]) == (3, 2)
        site.cache.delete_memoized(add)
        assert (add(1)["calls"], add(2)["calls"]) == (4, 5)
        site.cache.clear()
        assert add(1)["calls"] == 6


def test_the_store_is_the_functions_own(site: Site) -> None:
    """What Flask-Caching keeps and what `@hotplate.cached` keeps are in one store, and `everything` means both."""
    import hotplate

    site.view(lambda n: f"page {n}")
    site.get()
    assert service.current().store.state().entries == 1
    hotplate.cache.invalidate(everything=True)
    assert site.get().data == b"page 2"
