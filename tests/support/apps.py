"""Small apps for the tests of the request path."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request

flask_app = Flask("tests.support.apps")
gates: dict[str, threading.Event] = {}


@flask_app.get("/")
def hello() -> str:
    """Answer at once."""
    return "hello"


@flask_app.route("/echo", methods=["POST", "PUT"])
def echo() -> bytes:
    """Answer with the body."""
    return request.get_data()


@flask_app.get("/wait/<float:seconds>")
def wait(seconds: float) -> str:
    """Wait, holding a thread."""
    time.sleep(seconds)
    return "waited"


@flask_app.get("/hold/<name>")
def hold(name: str) -> str:
    """Wait until `/release/<name>` is asked for."""
    gates.setdefault(name, threading.Event()).wait(60)
    return name


@flask_app.get("/release/<name>")
def release(name: str) -> str:
    """Let `/hold/<name>` answer."""
    gates.setdefault(name, threading.Event()).set()
    return name


@flask_app.get("/spin/<float:seconds>")
def spin(seconds: float) -> str:
    """Use a core."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "spun"


@flask_app.get("/events")
def events() -> Response:
    """Send an event each 50 ms until the client goes."""

    def stream() -> Iterator[str]:
        gates.pop("events closed", None)
        try:
            while True:
                yield "data: tick\n\n"
                time.sleep(0.05)
        finally:
            gates.setdefault("events closed", threading.Event()).set()

    return Response(stream(), mimetype="text/event-stream")


@flask_app.get("/events/closed")
def events_closed() -> str:
    """Say whether the last event stream was closed."""
    return str("events closed" in gates)


@flask_app.get("/big/<int:count>")
def big(count: int) -> Response:
    """Stream `count` pieces of 64 KiB without saying how many."""
    return Response((b"x" * 65536 for _ in range(count)), mimetype="application/octet-stream")


@flask_app.get("/half")
def half() -> Response:
    """Fail in the middle of a stream."""

    def stream() -> Iterator[bytes]:
        yield b"first half"
        raise RuntimeError("the second half is missing")

    return Response(stream(), mimetype="text/plain")


@flask_app.get("/boom")
def boom() -> str:
    """Fail."""
    raise RuntimeError("boom")


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Speak lifespan, HTTP and WebSocket, by hand."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
    elif scope["type"] == "websocket":
        await _echo_socket(receive, send)
    elif scope["path"] == "/hang":
        await asyncio.get_running_loop().create_future()
    elif scope["path"] == "/boom":
        raise RuntimeError("boom")
    else:
        body = str(scope["state"].get("started")).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": memoryview(body)})


async def _lifespan(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    scope["state"]["started"] = "started"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _echo_socket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
