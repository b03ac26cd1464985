"""`hotplate.asgi(app)` under uvicorn, hypercorn and gunicorn: the same pipeline, somebody else's server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from tests.frameworks.serving import DOWNLOAD, LARGE, PATIENCE, lay_out, said_to, sha256
from tests.support.instance import environment
from tests.support.services import Spec, start
from tests.support.waiting import free_port

SERVERS = {
    "uvicorn": "-m uvicorn wrapped:application --port {port}",
    "hypercorn": "-m hypercorn wrapped:application --bind 127.0.0.1:{port}",
    "gunicorn": "-m gunicorn wrapped:application --worker-class asgi --bind 127.0.0.1:{port}",
}
WRAPPED = """
import hotplate
from app import app

application = hotplate.asgi(app, limit_body=32 * 2**20)
"""


class Hosted(NamedTuple):
    """A site under another server."""

    port: int
    client: httpx.Client


@contextmanager
def hosted(server: str, name: str, folder: Path) -> Iterator[Hosted]:
    """Serve a site with another server, as its documentation starts it."""
    (folder / "app.py").write_text(lay_out(folder, name))
    (folder / "wrapped.py").write_text(WRAPPED)
    port = free_port()
    command = [sys.executable, *SERVERS[server].format(port=port).split()]
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False)

    def is_ready() -> bool:
        try:
            return client.get("/-/health").status_code == 200
        except httpx.TransportError:
            return False

    spec = Spec(name=server, command=command, folder=folder, is_ready=is_ready, environ=environment())
    with client, start(spec):
        yield Hosted(port, client)


def served_by(name: str) -> Callable[[pytest.FixtureRequest, pytest.TempPathFactory], Iterator[Hosted]]:
    """Return a fixture: a site under each server in turn."""

    @pytest.fixture(scope="module", params=SERVERS)
    def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
        with hosted(request.param, name, tmp_path_factory.mktemp(request.param)) as site:
            yield site

    return served


flask = served_by("flask_site")
fastapi = served_by("fastapi_site")


def test_flask_answers(flask: Hosted) -> None:
    """Pages, bodies of both framings, large uploads, streams and files."""
    ask = flask.client
    assert ask.get("/").text == "front page"
    assert ask.get("/async").text == "ab"
    for content in (b"small", LARGE):
        expected = {"size": len(content), "digest": sha256(content), "length": len(content)}
        assert ask.put("/body", content=content).json() == expected
        assert ask.put("/body", content=iter([content])).json() == expected
    assert ask.get("/stream", params={"word": "w"}).text == "".join(f"w{number}\n" for number in range(5))
    assert ask.get("/file").content == DOWNLOAD
    assert ask.get("/file", headers={"Range": "bytes=5-9"}).content == DOWNLOAD[5:10]
    assert ask.get("/hello/J%C3%BCrgen").json()["name"] == "J\u00fcrgen"
    assert ask.get("/boom").status_code == 500
    with ask.stream("GET", "/events") as answer:
        assert next(answer.iter_lines()) == "id: 0"


def test_fastapi_answers(fastapi: Hosted) -> None:
    """Endpoints of both kinds, the lifespan's state, bodies, streams, files and failures."""
    ask = fastapi.client
    assert ask.get("/").json() == {"page": "front"}
    assert ask.get("/sync").json() == {"main": False}
    assert ask.get("/state").json() == {"opened": "by the lifespan", "same": True}
    assert ask.post("/items", json={"name": "tea", "price": 1.5}).json()["price"] == 3.0
    for content in (b"small", LARGE):
        assert ask.put("/body", content=content).json() == {"size": len(content), "digest": sha256(content)}
    assert ask.get("/stream").text == "".join(f"part {number}\n" for number in range(5))
    assert ask.get("/static/download.bin").content == DOWNLOAD
    assert ask.get("/view").text == "a view of memory"
    assert ask.get("/boom").status_code == 500
    assert ask.get("/").status_code == 200


def test_websockets_pass(fastapi: Hosted) -> None:
    """In both directions, with the fields of the acceptance, which these servers send."""
    address = f"ws://127.0.0.1:{fastapi.port}"
    with connect(f"{address}/echo", proxy=None, open_timeout=PATIENCE) as socket:
        for message in ("text", b"bytes"):
            socket.send(message)
            assert socket.recv(timeout=PATIENCE) == message
    with connect(f"{address}/count", proxy=None, open_timeout=PATIENCE) as socket:
        assert socket.response is not None
        assert socket.response.headers["x-counted"] == "yes"
        assert [socket.recv(timeout=PATIENCE) for _ in range(3)] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "request_text",
    [
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    ],
    ids=["both framings", "two hosts", "no host", "signed length"],
)
def test_malformed_requests_are_refused(flask: Hosted, request_text: str) -> None:
    """By the server or by the pipeline, with 400 and the end of the connection."""
    assert said_to(flask.port, request_text.encode()).split(b" ")[1] == b"400"


def test_limits_hold(flask: Hosted) -> None:
    """A body above the limit that was asked for is 413."""
    assert flask.client.put("/body", content=bytes(33 * 2**20)).status_code == 413
    assert flask.client.get("/").status_code == 200
