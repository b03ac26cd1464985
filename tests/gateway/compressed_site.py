"""One site in Flask and in FastAPI, whose answers are to be compressed or left alone."""

from __future__ import annotations

import asyncio
import gzip
import random
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import fastapi
import flask
from fastapi.responses import StreamingResponse

PAGE = "<p>All the news that fits.</p>\n" * 700  # 21 KB
LARGE = bytes(range(256)) * 16384  # 4 MiB
HTML = "text/html; charset=utf-8"

# What is answered at each path: body, content type, further fields.
ANSWERS: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "page": (PAGE.encode(), HTML, {"ETag": '"v1"', "Accept-Ranges": "bytes", "Content-MD5": "x"}),
    "weak": (PAGE.encode(), HTML, {"ETag": 'W/"v1"', "Vary": "Cookie"}),
    "large": (LARGE, "text/csv", {}),
    "small": (b"hello", HTML, {}),
    "picture": (PAGE.encode(), "image/png", {}),
    "untouched": (PAGE.encode(), HTML, {"Cache-Control": "max-age=5, no-transform"}),
    "encoded": (gzip.compress(PAGE.encode(), mtime=0), HTML, {"Content-Encoding": "gzip", "ETag": '"v1"'}),
    "varied": (PAGE.encode(), HTML, {"Vary": "accept-encoding, Origin"}),
    "noise": (random.Random(1).randbytes(600), "text/plain", {}),
}

flask_app = flask.Flask(__name__)
fastapi_app = fastapi.FastAPI()
gate = threading.Event()


@flask_app.get("/answer/<name>")
def answer(name: str) -> flask.Response:
    """Answer whole."""
    body, media_type, fields = ANSWERS[name]
    return flask.Response(body, headers={"Content-Type": media_type, **fields})


@flask_app.get("/asked")
def asked() -> dict[str, str]:
    """Tell what the app sees of the request."""
    return {name.lower(): value for name, value in flask.request.headers.items()}


@flask_app.get("/conditional")
def conditional() -> flask.Response:
    """Answer 304 where the client has it."""
    response = flask.Response(PAGE, mimetype="text/html")
    response.set_etag("v1")
    response.make_conditional(flask.request)
    return response


@flask_app.get("/lines")
def lines() -> flask.Response:
    """Stream without a length."""
    return flask.Response((f"line {number}\n" for number in range(3000)), mimetype="text/plain")


@flask_app.get("/events")
def events() -> flask.Response:
    """Send an event, wait to be released, and send another."""

    def stream() -> Iterator[str]:
        yield "data: first\n\n"
        gate.wait(60)
        yield "data: second\n\n"

    return flask.Response(stream(), mimetype="text/event-stream")


@flask_app.get("/release")
def release() -> str:
    """Let the second event go."""
    gate.set()
    return "released"


@fastapi_app.api_route("/answer/{name}", methods=["GET", "HEAD"])
async def answer_async(name: str) -> fastapi.Response:
    """Answer whole."""
    body, media_type, fields = ANSWERS[name]
    return fastapi.Response(body, headers={"Content-Type": media_type, **fields})


@fastapi_app.get("/asked")
async def asked_async(request: fastapi.Request) -> dict[str, str]:
    """Tell what the app sees of the request."""
    return dict(request.headers)


@fastapi_app.get("/conditional")
async def conditional_async(request: fastapi.Request) -> fastapi.Response:
    """Answer 304 where the client has it."""
    if request.headers.get("if-none-match") == '"v1"':
        return fastapi.Response(status_code=304, headers={"ETag": '"v1"'})
    return fastapi.Response(PAGE, media_type="text/html", headers={"ETag": '"v1"'})


@fastapi_app.get("/lines")
async def lines_async() -> StreamingResponse:
    """Stream without a length."""
    return StreamingResponse((f"line {number}\n" for number in range(3000)), media_type="text/plain")


@fastapi_app.get("/events")
async def events_async() -> StreamingResponse:
    """Send an event, wait to be released, and send another."""

    async def stream() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await asyncio.to_thread(gate.wait, 60)
        yield "data: second\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


@fastapi_app.get("/release")
async def release_async() -> Any:
    """Let the second event go."""
    gate.set()
    return "released"
