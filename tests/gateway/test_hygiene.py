"""No request that RFC 9112 calls malformed or ambiguous reaches the app, and none that is fine is refused."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway import hygiene as module
from hotplate.gateway.body_hygiene import GuardedReceive
from hotplate.gateway.hygiene import correct, fault, hygiene
from hotplate.gateway.limits import Limits
from hotplate.gateway.request_rules import FIELD_RULES, SINGLE
from hotplate.gateway.types import Message, Receive, Scope, Send
from tests.gateway.corpus.cases import CASES, REFUSABLE, SETTLED, Case
from tests.gateway.corpus.plane import ROOT, Address, plane, talk
from tests.support.waiting import wait_until

by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def scope_of(**changes: Any) -> Scope:
    """Return the scope of a plain request, changed."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"a.example"), (b"accept", b"*/*")],
        **changes,
    }


# ---------------------------------------------------------------- against the real data plane


@by_name
def test_the_data_plane_lets_through_what_we_think_it_does(bare: Address, case: Case) -> None:
    """A new Granian that parses differently is noticed here."""
    assert talk(bare, case.data, ends=case.ends).status == case.plane


@by_name
def test_each_request_of_the_corpus_is_answered_as_its_rule_says(front: Address, case: Case) -> None:
    """A refusal has its status and closes the connection; everything else reaches the app."""
    reply = talk(front, case.data, ends=case.ends)
    assert reply.status == case.ours
    assert reply.closed or reply.status < 400 or "upgrade" in reply.fields


def test_a_length_beside_chunked_never_reaches_the_app(front: Address) -> None:
    """RFC 9112, section 6.1 leaves two ways; this one reads by the chunks, removes the length and closes."""
    for case in SETTLED[:2]:
        reply = talk(front, case.data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"content-length" not in reply.body
        assert reply.seen["messages"][0]["body"] == "a"
        assert reply.closed
        assert b"smuggled" not in reply.body


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Gunicorn with threads, as its documentation starts it, on a Unix socket."""
    path = tmp_path_factory.mktemp("gunicorn") / "s"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-w",
        "1",
        "--threads",
        "4",
        "--timeout",
        "60",
        "--bind",
        f"unix:{path}",
    ]
    process = subprocess.Popen([*command, "tests.gateway.corpus.gunicorn_app:app"], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(path), what="gunicorn to answer")
        yield str(path)
    finally:
        process.kill()
        process.wait()


def _answers(path: Path) -> bool:
    try:
        return talk(str(path), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    except OSError:
        return False


def test_nothing_passes_that_gunicorn_refuses(gunicorn: Address, front: Address) -> None:
    """The bar is gunicorn's strictness; the exceptions are settled below us, and named."""
    passed = {
        case.name
        for case in CASES
        if talk(front, case.data, ends=case.ends).status < 400
        and not 0 < talk(gunicorn, case.data, ends=case.ends).status < 400
    }
    assert passed <= {case.name for case in SETTLED} | {"WebSocket"}


def test_gunicorn_lets_pass_what_we_refuse(gunicorn: Address) -> None:
    """The corpus is no mirror of one server: it has faults that gunicorn does not see."""
    passed = [
        case.name for case in REFUSABLE if case.ours >= 400 and talk(gunicorn, case.data, ends=True).status == 200
    ]
    assert "no host" in passed


def test_the_scope_is_what_asgi_asks_for(front: Address) -> None:
    """Ports are numbers, the path is decoded, the query is apart, and there is a root path."""
    seen = talk(front, b"GET /%C3%A4?q=%20 HTTP/1.1\r\nHost: a\r\nX_Y: forged\r\nX-Y: real\r\n\r\n").seen["scope"]
    assert seen["path"] == "/ä"
    assert (seen["raw_path"], seen["query_string"], seen["root_path"]) == ("/%C3%A4", "q=%20", "")
    assert seen["server"] == list(front)
    assert seen["client"][0] == "127.0.0.1"
    assert isinstance(seen["client"][1], int)
    assert seen["headers"] == [["host", "a"], ["x-y", "real"]]


def test_http_1_0_is_called_so_and_has_no_invented_host(front: Address) -> None:
    """The data plane calls it "1" and adds an empty Host."""
    seen = talk(front, b"GET / HTTP/1.0\r\nAccept: */*\r\n\r\n").seen["scope"]
    assert (seen["http_version"], seen["headers"]) == ("1.0", [["accept", "*/*"]])


def test_a_peer_on_a_unix_socket_has_no_address(tmp_path: Path) -> None:
    """ASGI wants None for the client, and the path for the server."""
    with plane("front", unix=tmp_path / "s") as address:
        seen = talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").seen["scope"]
    assert seen["client"] is None
    assert seen["server"] == [str(tmp_path / "s"), None]


# ---------------------------------------------------------------- the rules by themselves


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"method": "CONNECT"}, "proxies"),
        ({"raw_path": b"*"}, "OPTIONS"),
        ({"raw_path": b"", "path": ""}, "neither"),
        ({"query_string": b"\xff"}, "percent-encoded"),
        ({"raw_path": b"/\x01%"}, "percent-encoded"),
        ({"headers": [(b"host", b"a"), (b"te", b"gzip")], "http_version": "2"}, "TE"),
        ({"headers": [(b"host", b"a"), (b"connection", b"close")], "http_version": "2"}, "HTTP/2"),
        ({"headers": [(b"host", b"a"), (b"content-length", b"1"), (b"transfer-encoding", b"chunked")]}, "beside"),
        ({"headers": [(b"host", b"a"), (b"na me", b"1")]}, "token"),
        ({"headers": []}, "no Host"),
    ],
)
def test_a_refusal_names_its_rule(changes: dict[str, Any], word: str) -> None:
    """Whoever sent it can look it up."""
    refusal = fault(scope_of(**changes))
    assert refusal is not None
    assert word in refusal.text
    assert "RFC" in refusal.text


def test_cookies_that_http_2_split_are_joined() -> None:
    """RFC 9113, section 8.2.3; apps know only one Cookie field."""
    scope = scope_of(http_version="2", headers=[(b"host", b"a"), (b"cookie", b"a=1"), (b"x", b""), (b"cookie", b"b=2")])
    assert fault(scope) is None
    assert [value for name, value in scope["headers"] if name == b"cookie"] == [b"a=1; b=2"]


def test_a_scope_that_is_right_already_stays_as_it_is() -> None:
    """Other servers' scopes need no mending."""
    scope = scope_of(client=("::1", 5), server=("::1", 80))
    before = dict(scope)
    correct(scope)
    assert scope == before


names = st.sampled_from([*FIELD_RULES, *SINGLE, b"cookie", b"x_y", b"X", b"\xff", b"", b"connection"]) | st.binary(
    max_size=9
)
bits = st.sampled_from([b"chunked", b"1", b"a.example", b"", b",", b"[::1]:80", b"%", b"*", b"/"]) | st.binary(
    max_size=9
)
scopes = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["http", "websocket"]),
        "http_version": st.sampled_from(["1", "1.0", "1.1", "2"]),
        "method": st.sampled_from(["GET", "OPTIONS", "CONNECT", "get", ""]) | st.text(max_size=5),
        "path": st.just("/"),
        "raw_path": bits,
        "query_string": bits,
        "headers": st.lists(st.tuples(names, bits), max_size=6),
    }
)


@given(scopes)
def test_fault_never_raises_and_decides_alike_twice(scope: dict[str, Any]) -> None:
    """Whatever arrives gets an answer, and what was learnt from it changes none."""
    module._hosts.clear()
    first = fault({**scope, "headers": [*scope["headers"]]}, Limits())
    assert fault({**scope, "headers": [*scope["headers"]]}, Limits()) == first


@given(scopes)
def test_the_short_way_decides_as_the_long_one(scope: dict[str, Any]) -> None:
    """The layer's fast expression passes only what `fault` passes."""
    passed = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    async def nothing(_message: Message | None = None) -> Any:
        return {}

    refused = fault({**scope, "headers": [*scope["headers"]]}, Limits())
    with pytest.raises(StopIteration):
        hygiene(app, Limits())({**scope}, nothing, nothing).__await__().send(None)
    assert bool(passed) == (refused is None)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=20))
def test_what_is_learnt_is_bounded(fields: list[bytes]) -> None:
    """Names and hosts are the client's to choose; memory is not."""
    for field in fields:
        fault(scope_of(headers=[(b"host", field), (field, b"")]))
    assert len(module._plain) <= module._most_plain
    assert len(module._hosts) <= module._MOST_HOSTS


# ---------------------------------------------------------------- bodies by themselves


def _run(messages: list[Message], limits: Limits | None = None, **marks: Any) -> tuple[bytes, GuardedReceive]:
    """Read a body as an app does, and once more afterwards."""
    waiting = [*messages, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return waiting.pop(0)

    guard = GuardedReceive(receive, scope_of(**marks), limits or Limits())

    async def read() -> bytes:
        body, more = b"", True
        while more:
            message = await guard()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        assert (await guard())["type"] == "http.disconnect"
        return body

    with pytest.raises(StopIteration) as ended:
        read().send(None)
    return ended.value.value, guard


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_within_the_limit_passes_unchanged() -> None:
    """The limit itself is allowed."""
    body, guard = _run([_part(b"ab", more=True), _part(b"c", more=False)], Limits(body=3))
    assert (body, guard.refusal) == (b"abc", None)


@pytest.mark.parametrize(
    ("messages", "marks", "status"),
    [
        ([_part(b"ab", more=True), _part(b"cd", more=False)], {}, 413),
        ([_part(b"a", more=True)], {}, 400),
        ([_part(b"a", more=True)], {"hotplate.trailers": False}, 400),
        ([_part(b"a", more=True), _part(b"", more=True), _part(b"", more=False)], {"hotplate.trailers": False}, 400),
    ],
    ids=["too large", "cut short", "bad chunks", "trailers nobody announced"],
)
def test_a_faulty_body_ends_early_for_the_app(messages: list[Message], marks: dict[str, Any], status: int) -> None:
    """What was fine before it is passed on, then the client seems gone, and stays so."""
    _body, guard = _run(messages, Limits(body=3), **marks)
    assert guard.refusal is not None
    assert guard.refusal.status == status


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [2000, 20_000_000])
def test_a_client_that_sends_all_of_a_large_body_reads_the_413(size: int, chunked: bool) -> None:
    """Few clients look for an answer before they are done, and a reset connection tells nobody why."""
    parts = iter([b"x" * 50_000] * (size // 50_000 + 1))
    with plane("front", limit_body=1000) as address:
        connection = http.client.HTTPConnection(str(address[0]), int(address[1]), timeout=60)
        fields = {"Transfer-Encoding": "chunked"} if chunked else {}
        connection.request("POST", "/", parts if chunked else b"x" * size, fields, encode_chunked=chunked)
        response = connection.getresponse()
        assert (response.status, response.getheader("connection")) == (413, "close")
        assert b"1000 bytes" in response.read()
        connection.close()


def test_half_a_request_line_is_not_answered_by_the_app(front: Address) -> None:
    """A connection that ends in the middle of a head ends without an answer of the app."""
    assert talk(front, b"GET / HT", ends=True).status in {0, 400}
