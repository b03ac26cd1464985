"""FastAPI, served by the real command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.frameworks.serving import DOWNLOAD, LARGE, PATIENCE, Site, lay_out, sha256, site
from tests.support.waiting import wait_until

PARTS = b"".join(b"part %d\n" % number for number in range(5))


@pytest.fixture(scope="module")
def fastapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The FastAPI site; its lifespan ends with it."""
    folder = tmp_path_factory.mktemp("fastapi")
    with site(folder, lay_out(folder, "fastapi_site")) as served:
        yield served
        assert served.instance.command("stop").returncode == 0
        assert (folder / "stopped").exists()


@pytest.fixture
def ask(fastapi: Site) -> httpx.Client:
    """Asks the FastAPI site."""
    return fastapi.client


def socket_to(fastapi: Site, path: str, subprotocol: str = "") -> ClientConnection:
    """Open a WebSocket."""
    return connect(
        f"ws://127.0.0.1:{fastapi.instance.port}{path}",
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        proxy=None,
        open_timeout=PATIENCE,
        max_size=None,
    )


def test_endpoints_answer(ask: httpx.Client) -> None:
    """Async ones on the loop, sync ones in Starlette's threads."""
    assert ask.get("/").json() == {"page": "front"}
    assert ask.get("/sync").json() == {"main": False}


def test_the_lifespan_state_reaches_requests(ask: httpx.Client) -> None:
    """They run on the loop that the lifespan ran on."""
    assert ask.get("/state").json() == {"opened": "by the lifespan", "same": True}


def test_json_is_checked_and_dependencies_are_closed(ask: httpx.Client) -> None:
    """A good item is 200, a bad one 422."""
    good = ask.post("/items", json={"name": "tea", "price": 1.5})
    assert good.json() == {"name": "tea", "price": 3.0, "from": "database"}
    assert ask.post("/items", json={"name": "tea", "price": "dear"}).status_code == 422
    wait_until(lambda: "closed" in ask.get("/done").json(), what="the dependency is closed")


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "20 MiB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_arrives_whole(ask: httpx.Client, content: bytes, chunked: bool) -> None:
    """As it comes."""
    pieces = (content[start : start + 100_000] for start in range(0, len(content), 100_000))
    answer = ask.put("/body", content=pieces if chunked else content)
    assert answer.json() == {"size": len(content), "digest": sha256(content)}


@pytest.mark.parametrize("path", ["/stream", "/stream/sync"])
def test_a_stream_comes_whole(ask: httpx.Client, path: str) -> None:
    """From either kind of generator."""
    assert ask.get(path).content == PARTS


def test_events_flow_until_the_client_goes(ask: httpx.Client) -> None:
    """Then the generator is closed."""
    with ask.stream("GET", "/events") as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(4)] == ["data: tick", ""] * 2
    wait_until(lambda: ask.get("/events/gone").json(), what="the generator is closed")


def test_background_tasks_run_after_the_answer(ask: httpx.Client) -> None:
    """In the worker that answered."""
    assert ask.post("/later", params={"note": "a note"}).json() == {"accepted": "a note"}
    wait_until(lambda: "a note" in ask.get("/done").json(), what="the task has run")


@pytest.mark.parametrize("path", ["/file", "/static/download.bin"])
def test_files_come_whole_and_in_parts(ask: httpx.Client, path: str) -> None:
    """By FileResponse and StaticFiles, with lengths, ranges and tags; HEAD has no body."""
    whole = ask.get(path)
    assert whole.content == DOWNLOAD
    assert whole.headers["content-length"] == str(len(DOWNLOAD))
    part = ask.get(path, headers={"Range": "bytes=10-99999"})
    assert (part.status_code, part.content) == (206, DOWNLOAD[10:100_000])
    head = ask.head(path) if path.startswith("/static") else None
    assert head is None or (head.content, head.headers["content-length"]) == (b"", str(len(DOWNLOAD)))
    assert ask.get("/static/style.css").headers["content-type"].startswith("text/css")
    assert ask.get("/static/missing.css").status_code == 404
    fresh = ask.get("/static/style.css", headers={"If-None-Match": ask.get("/static/style.css").headers["etag"]})
    assert fresh.status_code == 304


def test_a_memoryview_is_a_body(ask: httpx.Client) -> None:
    """Not an empty one."""
    assert ask.get("/view").text == "a view of memory"


@pytest.mark.parametrize(("path", "status"), [("/boom", 500), ("/teapot", 418), ("/missing", 404)])
def test_errors_are_answered(fastapi: Site, path: str, status: int) -> None:
    """A failure's traceback is in the log, and the connection can be used on."""
    assert fastapi.client.get(path).status_code == status
    assert fastapi.client.get("/").status_code == 200
    if status == 500:
        fastapi.instance.until_logged('raise RuntimeError("boom")')


@pytest.mark.parametrize("message", ["text \u2603", "", b"bytes \x00\xff", b"", "x" * 1_000_000, b"y" * 1_000_000])
def test_a_websocket_echoes(fastapi: Site, message: str | bytes) -> None:
    """Text as text and bytes as bytes, of any size."""
    with socket_to(fastapi, "/echo") as socket:
        for _ in range(2):
            socket.send(message)
            assert socket.recv(timeout=PATIENCE) == message


def test_a_websocket_agrees_on_a_subprotocol(fastapi: Site) -> None:
    """And knows how to answer a ping."""
    with socket_to(fastapi, "/echo", "echo") as socket:
        assert socket.subprotocol == "echo"
        assert socket.ping().wait(PATIENCE)


def test_a_websocket_ends_with_the_app_s_reason(fastapi: Site) -> None:
    """Messages, code and reason arrive; that header fields of the acceptance do not is in the log."""
    with socket_to(fastapi, "/count") as socket:
        assert [json.loads(socket.recv(timeout=PATIENCE)) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=PATIENCE)
    assert ended.value.rcvd is not None
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (4001, "counted")
    fastapi.instance.until_logged("acceptance of a WebSocket are not sent")


@pytest.mark.parametrize("path", ["/refused", "/missing"])
def test_a_websocket_is_refused(fastapi: Site, path: str) -> None:
    """Closing before accepting is a 403."""
    with pytest.raises(InvalidStatus) as refusal:
        socket_to(fastapi, path)
    assert refusal.value.response.status_code == 403


def test_a_websocket_that_fails_before_its_acceptance_is_500(fastapi: Site) -> None:
    """As any other request."""
    with pytest.raises(InvalidStatus) as refusal:
        socket_to(fastapi, "/unborn")
    assert refusal.value.response.status_code == 500
    fastapi.instance.until_logged("unborn socket")


def test_an_app_may_send_to_a_client_that_has_gone(fastapi: Site) -> None:
    """It sees a disconnect, and nothing is logged as a failure."""
    with socket_to(fastapi, "/flood") as socket:
        socket.recv(timeout=PATIENCE)
    wait_until(lambda: "flood ended" in fastapi.client.get("/done").json(), what="the app noticed")
    assert "/flood [WebSocket]" not in fastapi.instance.log


def test_a_broken_websocket_ends(fastapi: Site) -> None:
    """As an error of the server, which is in the log."""
    with socket_to(fastapi, "/broken") as socket:
        socket.send("go on")
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=PATIENCE)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1011
    fastapi.instance.until_logged("broken socket")
