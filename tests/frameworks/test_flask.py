"""Flask, served by the real command, with `wsgiref.validate` around it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.frameworks.serving import DOWNLOAD, LARGE, Site, lay_out, sha256, site
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Flask site."""
    folder = tmp_path_factory.mktemp("flask")
    with site(folder, lay_out(folder, "flask_site")) as served:
        yield served
        assert "AssertionError" not in served.instance.log, "wsgiref.validate complained"


@pytest.fixture
def ask(flask: Site) -> httpx.Client:
    """Asks the Flask site."""
    return flask.client


@pytest.mark.parametrize(("path", "text"), [("/", "front page"), ("/async", "ab")])
def test_views_answer(ask: httpx.Client, path: str, text: str) -> None:
    """Sync and async views alike."""
    answer = ask.get(path)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["content-length"] == str(len(text))


def test_a_stream_comes_whole(ask: httpx.Client) -> None:
    """With its request context, in chunks."""
    answer = ask.get("/stream", params={"word": "w"})
    assert answer.text == "".join(f"w{number}\n" for number in range(5))
    assert answer.headers["transfer-encoding"] == "chunked"


def test_a_file_comes_whole(ask: httpx.Client) -> None:
    """`send_file` goes through `wsgi.file_wrapper` and tells length, kind and tag."""
    answer = ask.get("/file")
    assert answer.content == DOWNLOAD
    assert answer.headers["content-length"] == str(len(DOWNLOAD))
    assert ask.get("/file", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    head = ask.head("/file")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(DOWNLOAD)))


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("0-0", 0, 0), ("1000-700000", 1000, 700_000), ("-5", len(DOWNLOAD) - 5, None)]
)
def test_a_part_of_a_file_comes(ask: httpx.Client, wanted: str, first: int, last: int | None) -> None:
    """A range is answered with 206 and just those bytes."""
    answer = ask.get("/file", headers={"Range": f"bytes={wanted}"})
    expected = DOWNLOAD[first : None if last is None else last + 1]
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(DOWNLOAD)}"


def test_a_range_beyond_the_end_is_416(ask: httpx.Client) -> None:
    """And the connection can be used on."""
    assert ask.get("/file", headers={"Range": f"bytes={len(DOWNLOAD)}-"}).status_code == 416
    assert ask.get("/").text == "front page"


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "20 MiB"])
def test_an_upload_arrives_whole(ask: httpx.Client, content: bytes) -> None:
    """A form with a file, in memory or spooled."""
    answer = ask.post("/upload", files={"file": ("photo.png", content)}, data={"note": "n\u00f6te"})
    assert answer.json() == {"name": "photo.png", "note": "n\u00f6te", "size": len(content), "digest": sha256(content)}


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "20 MiB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_arrives_whole(ask: httpx.Client, content: bytes, chunked: bool) -> None:
    """Framed either way; the app is told its length in any case."""
    pieces = (content[start : start + 100_000] for start in range(0, len(content), 100_000))
    answer = ask.put("/body", content=pieces if chunked else content)
    assert answer.json() == {"size": len(content), "digest": sha256(content), "length": len(content)}


def test_events_flow_until_the_client_goes(ask: httpx.Client) -> None:
    """Server-sent events arrive one by one; then the generator is closed."""
    with ask.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(6)] == ["id: 0", "data: tick", "", "id: 1", "data: tick", ""]
        assert ask.get("/events/closed").text == "False"
    wait_until(lambda: ask.get("/events/closed").text == "True", what="the generator is closed")


def test_paths_queries_and_cookies_arrive_as_meant(ask: httpx.Client) -> None:
    """Non-ASCII text and repeated values too; two cookies are two fields."""
    answer = ask.get("/hello/J%C3%BCrgen%20B", params={"q": ["1", "\u2603"]}, headers={"Cookie": "c=d"})
    shown = answer.json()
    assert (shown["name"], shown["query"], shown["cookie"]) == ("J\u00fcrgen B", ["1", "\u2603"], "d")
    assert shown["url"].startswith(f"http://127.0.0.1:{ask.base_url.port}/hello/")
    assert len(answer.headers.get_list("set-cookie")) == 3
    assert ask.get("/away").headers["location"] == "/hello/again"


@pytest.mark.parametrize(("path", "status"), [("/boom", 500), ("/teapot", 418), ("/missing", 404), ("/empty", 204)])
def test_errors_are_answered_as_flask_answers_them(ask: httpx.Client, path: str, status: int) -> None:
    """And the connection can be used on."""
    assert ask.get(path).status_code == status
    assert ask.get("/").text == "front page"


def test_a_failure_is_in_the_log(flask: Site) -> None:
    """With its traceback, once."""
    flask.client.get("/boom")
    flask.instance.until_logged('raise RuntimeError("boom")')
