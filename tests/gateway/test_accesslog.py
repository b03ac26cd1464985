"""Promises of the access log."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress

import pytest

from hotplate.gateway.accesslog import access_log
from hotplate.gateway.types import Message, Receive, Scope, Send
from hotplate.settings import Settings

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/a\nb", "query_string": b"secret=1", "client": ("1.2.3.4", 5)}


async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer in two parts."""
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    await send({"type": "http.response.body", "body": b"de"})


async def vanishing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Fail before anything is sent."""
    raise ConnectionError


async def nothing(*_arguments: Message) -> Message:
    """Stand in for the server."""
    return {}


def told(app: object, scope: Scope, form: str = "json") -> str:
    """Return what is written about one request."""
    out = io.StringIO()
    settings = Settings(access_log=True, log_format="json" if form == "json" else "text")
    logged = access_log(app, settings, out)  # type: ignore[arg-type]  # any of the apps above
    with suppress(ConnectionError):
        asyncio.run(logged(scope, nothing, nothing))  # type: ignore[arg-type]  # it is a coroutine function
    return out.getvalue()


def test_a_request_is_one_line_without_its_query() -> None:
    """Status, bytes and time are those of the whole response; secrets stay out."""
    line = json.loads(told(answering, dict(SCOPE)))
    assert (line["client"], line["method"], line["path"], line["status"], line["bytes"]) == (
        "1.2.3.4",
        "GET",
        "/a\nb",
        201,
        5,
    )
    assert "secret" not in told(answering, dict(SCOPE))


def test_a_path_cannot_forge_a_line() -> None:
    """A line end in the path is escaped."""
    assert told(answering, dict(SCOPE), "text").count("\n") == 1


def test_a_request_without_an_answer_is_told_too() -> None:
    """Its status is 0."""
    assert json.loads(told(vanishing, dict(SCOPE)))["status"] == 0


@pytest.mark.parametrize("scope", [{**SCOPE, "hotplate.rehearsal": True}, {**SCOPE, "type": "websocket"}])
def test_warm_up_requests_and_sockets_are_not_told(scope: Scope) -> None:
    """They are no requests of clients, or no requests."""
    assert told(answering, scope) == ""


def test_it_costs_nothing_when_not_asked_for() -> None:
    """The app itself is the layer then."""
    assert access_log(answering, Settings()) is answering
