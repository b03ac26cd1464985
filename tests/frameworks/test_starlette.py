"""Starlette, served by the real command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.frameworks.serving import LARGE, PATIENCE, SITES, Site, site


@pytest.fixture(scope="module")
def starlette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Starlette site."""
    with site(tmp_path_factory.mktemp("starlette"), (SITES / "starlette_site.py").read_text()) as served:
        yield served


@pytest.fixture
def ask(starlette: Site) -> httpx.Client:
    """Asks the Starlette site."""
    return starlette.client


def test_a_page_sees_the_request(ask: httpx.Client) -> None:
    """Path, query, client and the lifespan's state, through middleware."""
    answer = ask.get("/deep/a%20b", params=[("q", "1"), ("q", "2")])
    assert answer.headers["x-stamp"] == "stamped"
    expected = {"client": True, "path": "/deep/a b", "query": [["q", "1"], ["q", "2"]], "state": ["a", "b"]}
    assert answer.json() == {**expected, "version": "1.1"}


def test_a_large_body_passes_through(ask: httpx.Client) -> None:
    """There and back, through a middleware that streams."""
    assert ask.post("/", content=LARGE).content == LARGE


def test_a_middleware_may_compress(ask: httpx.Client) -> None:
    """And is not compressed again."""
    answer = ask.get("/long", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == "word " * 2000


def test_a_websocket_endpoint_answers(starlette: Site) -> None:
    """Each message."""
    with connect(f"ws://127.0.0.1:{starlette.instance.port}/shout", proxy=None, open_timeout=PATIENCE) as socket:
        for word in ("one", "two"):
            socket.send(word)
            assert socket.recv(timeout=PATIENCE) == word.upper()


def test_a_wsgi_app_of_the_same_module_is_served(tmp_path: Path) -> None:
    """Each target is recognised for what it is."""
    with site(tmp_path, (SITES / "starlette_site.py").read_text(), target="app:legacy") as served:
        assert served.client.get("/%C3%BC").text == "/\u00fc"
