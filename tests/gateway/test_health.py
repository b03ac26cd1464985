"""The health probe is answered by the pipeline itself, and tells when the server drains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hotplate.gateway.health import health
from hotplate.gateway.refusal import refuse
from hotplate.gateway.types import Message, Receive, Scope, Send
from tests.gateway.corpus.plane import Address, plane, talk


@pytest.fixture(scope="module")
def front() -> Iterator[Address]:
    """The layers in front of the app, at their defaults."""
    with plane("front") as address:
        yield address


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "the app's"})


def sent(call: Any, scope: Scope) -> list[Message]:
    """Run an ASGI callable that must not wait, and return what it sent."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    with pytest.raises(StopIteration):
        call(scope, None, send).__await__().send(None)
    return messages


def probe(path: str = "/-/health", **changes: Any) -> Scope:
    """Return the scope of a probe, changed."""
    return {"type": "http", "method": "GET", "path": path, "http_version": "1.1", **changes}


def test_a_probe_is_answered_without_the_app(front: Address) -> None:
    """It is small JSON that nobody may store."""
    reply = talk(front, b"GET /-/health?anything HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})
    assert (reply.fields["content-type"], reply.fields["cache-control"]) == ("application/json", "no-store")
    assert not reply.closed


def test_a_head_probe_has_the_length_and_no_body() -> None:
    """As a GET would have had it (RFC 9110, section 9.3.2)."""
    start, body = sent(health(_app, "/-/health"), probe(method="HEAD"))
    assert dict(start["headers"])[b"content-length"] == b"15"
    assert body["body"] == b""


def test_other_methods_are_told_which_ones_there_are(front: Address) -> None:
    """405 names them (RFC 9110, section 15.5.6)."""
    reply = talk(front, b"DELETE /-/health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (reply.status, reply.fields["allow"]) == (405, "GET, HEAD")


def test_a_draining_server_says_so() -> None:
    """503 takes it out of a load balancer's rotation."""
    state = {"status": "draining", "in_flight": 2}
    start, body = sent(health(_app, "/-/health", lambda: state), probe())
    assert start["status"] == 503
    assert json.loads(body["body"]) == state


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/-/health/", "/x/-/health"])
def test_all_other_paths_are_the_apps(path: str) -> None:
    """Only the exact path is ours."""
    assert sent(health(_app, "/-/health"), probe(path)) == [{"type": "the app's"}]


@pytest.mark.parametrize("scope", [{"type": "lifespan"}, {"type": "websocket", "path": "/-/health"}])
def test_only_http_is_probed(scope: Scope) -> None:
    """A WebSocket at that path, and a scope without a path, pass."""
    assert sent(health(_app, "/-/health"), scope) == [{"type": "the app's"}]


def test_the_path_can_be_another_or_none() -> None:
    """As the setting says."""
    assert sent(health(_app, "/up"), probe("/up"))[0]["status"] == 200
    assert health(_app, "") is _app


@pytest.mark.parametrize(
    ("changes", "closes"), [({}, True), ({"http_version": "1.0"}, True), ({"http_version": "2"}, False)]
)
def test_a_refusal_asks_http_1_to_close(changes: dict[str, str], closes: bool) -> None:
    """HTTP/2 knows no such field."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, send, 400, "No.")

    start, body = sent(refusing, probe(**changes))
    assert ((b"connection", b"close") in start["headers"]) == closes
    assert body["body"] == b"No.\n"


def test_a_refused_websocket_is_closed_where_no_response_can_be_sent() -> None:
    """Which the server answers with 403; with the extension, with the refusal itself."""

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, send, 400, "No.")

    scope: Scope = {"type": "websocket", "path": "/", "http_version": "1.1"}
    assert [message["type"] for message in sent(refusing, scope)] == ["websocket.close"]
    start, _body = sent(refusing, {**scope, "extensions": {"websocket.http.response": {}}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
