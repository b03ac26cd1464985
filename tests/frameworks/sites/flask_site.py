"""A Flask app with the things that Flask apps do; served as app.py in a folder of its own."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from wsgiref.validate import validator

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, session, stream_with_context
from werkzeug.wrappers import Response as BaseResponse

app = Flask(__name__)
app.secret_key = "not a secret"
FILE = Path(__file__).with_name("download.bin")
closed = threading.Event()


@app.get("/")
def page() -> str:
    """Answer at once."""
    return "front page"


@app.get("/async")
async def in_a_coroutine() -> str:
    """Be an async view (flask[async])."""
    parts = await asyncio.gather(_later("a"), _later("b"))
    return "".join(parts)


async def _later(text: str) -> str:
    await asyncio.sleep(0.01)
    return text


@app.get("/stream")
def stream() -> Response:
    """Stream with the request at hand."""

    def parts() -> Iterator[str]:
        for number in range(5):
            yield f"{request.args['word']}{number}\n"

    return Response(stream_with_context(parts()), mimetype="text/plain")


@app.get("/file")
def file() -> Response:
    """Send a file: conditional, with ranges, by `wsgi.file_wrapper`."""
    return send_file(FILE, mimetype="application/octet-stream", conditional=True, download_name="download.bin")


@app.post("/upload")
def upload() -> Response:
    """Take a form with a file."""
    sent = request.files["file"]
    content = sent.read()
    digest = hashlib.sha256(content).hexdigest()
    return jsonify(name=sent.filename, note=request.form["note"], size=len(content), digest=digest)


@app.put("/body")
def body() -> Response:
    """Take a body of any kind, in pieces."""
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(65536):
        digest.update(piece)
        size += len(piece)
    return jsonify(size=size, digest=digest.hexdigest(), length=request.content_length)


@app.get("/events")
def events() -> Response:
    """Send server-sent events until the client goes."""
    closed.clear()

    def ticks() -> Iterator[str]:
        try:
            number = 0
            while True:
                yield f"id: {number}\ndata: tick\n\n"
                number += 1
                time.sleep(0.02)
        finally:
            closed.set()

    return Response(ticks(), mimetype="text/event-stream")


@app.get("/events/closed")
def events_closed() -> str:
    """Say whether the last event stream has been closed."""
    return str(closed.is_set())


@app.get("/hello/<name>")
def hello(name: str) -> Response:
    """Show that paths, queries and cookies arrive as they were meant."""
    session["seen"] = name
    response = jsonify(name=name, query=request.args.getlist("q"), url=request.url, cookie=request.cookies.get("c"))
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/away")
def away() -> BaseResponse:
    """Redirect."""
    return redirect("/hello/again")


@app.get("/boom")
def boom() -> str:
    """Fail."""
    raise RuntimeError("boom")


@app.get("/teapot")
def teapot() -> str:
    """Refuse."""
    abort(418)


@app.get("/empty")
def empty() -> Response:
    """Answer without a body, and without the Content-Type that Flask adds and wsgiref.validate objects to."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


app.wsgi_app = validator(app.wsgi_app)  # type: ignore[assignment,method-assign]  # wsgiref.validate around all of it
