"""The adapter as a whole: on the worker's own driver and pool, with frameworks, and with what WSGI knows nothing of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import flask
import pytest

from hotplate.gateway.drive import Driver
from hotplate.gateway.exchange import Exchange
from hotplate.gateway.executor import Pool
from hotplate.gateway.types import Message, Scope
from hotplate.gateway.wsgi import adapt
from hotplate.settings import Settings
from tests.gateway.wsgi.asking import PATIENCE, PLAIN, Client, FakeHost, ask, request, returning


class Sent:
    """What a data plane is sent, from any thread, and whether the request has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.messages: list[Message] = []
        self.threads: list[int] = []
        self.ended: asyncio.Future[BaseException | None] = loop.create_future()

    async def send(self, message: Message) -> None:
        """Be the data plane's `send`."""
        self.messages.append(message)
        self.threads.append(threading.get_ident())

    def done(self, error: BaseException | None) -> None:
        """Be told how it ended."""
        self._loop.call_soon_threadsafe(self.ended.set_result, error)


def _driven(app: Callable[..., Iterable[bytes]], scope: Scope, body: Iterable[bytes] = ()) -> Sent:
    """Serve one request as a worker does: driver, pool, and a data plane's thread that starts it."""

    async def drive() -> Sent:
        loop = asyncio.get_running_loop()
        pool = Pool(Settings(threads=2))
        sent, client = Sent(loop), Client(body)
        adapted = adapt(validator(app), Settings(spool_size=100), Driver(loop, pool))
        coroutine: Any = adapted(scope, client.receive, sent.send)
        try:
            threading.Thread(target=Driver(loop, pool).start, args=(coroutine, sent.done)).start()
            error = await asyncio.wait_for(asyncio.shield(sent.ended), PATIENCE)
            assert error is None
        finally:
            pool.stop(grace=PATIENCE)
        return sent

    return asyncio.run(drive())


def _echo(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
    data = environ["wsgi.input"].read(10**9)
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(data)))])
    yield data


def test_a_whole_response_is_sent_by_the_thread_that_made_it() -> None:
    """No hop back to the loop lies between the app and the data plane."""
    threads: list[int] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        threads.append(threading.get_ident())
        start_response("200 OK", [PLAIN, ("Content-Length", "5")])
        yield b"hello"
        threads.append(threading.get_ident())

    sent = _driven(app, request())
    assert b"".join(message.get("body", b"") for message in sent.messages) == b"hello"
    assert set(sent.threads) == set(threads)
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("size", [1, 1000])
def test_a_body_passes_through_the_loop_and_the_pool(size: int) -> None:
    """In memory or spooled, the same request goes data plane, loop, pool."""
    scope = request("POST", headers=[(b"content-length", b"%d" % size)])
    sent = _driven(_echo, scope, [b"x" * size])
    assert sent.messages[1]["body"] == b"x" * size


def test_a_stream_is_sent_on_the_loop() -> None:
    """Where it can wait for a slow reader."""
    sent = _driven(returning(b"block" for _ in range(3)), request())
    assert b"".join(message.get("body", b"") for message in sent.messages) == b"block" * 3
    assert set(sent.threads) == {threading.get_ident()}


def test_time_in_the_app_is_accounted_to_its_exchange() -> None:
    """The thread that runs the app is known while it does, for the stack of a hung request."""
    scope = request()
    exchange = scope["hotplate.exchange"] = Exchange(scope, 0.0)
    seen: list[int | None] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        seen.append(exchange.thread)
        seen.append(threading.get_ident())
        start_response("200 OK", [PLAIN])
        return [b"x"]

    ask(app, scope, strict=False)
    assert seen[0] == seen[1]
    assert exchange.thread is None


def test_a_lifespan_has_nothing_to_do() -> None:
    """A server that insists on one gets its answers."""
    said: list[str] = []

    async def live() -> None:
        events = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Message:
            return {"type": next(events)}

        async def send(message: Message) -> None:
            said.append(message["type"])

        await adapt(returning([]), Settings(), FakeHost())({"type": "lifespan"}, receive, send)

    asyncio.run(live())
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_websocket_is_turned_away() -> None:
    """Closing before accepting is a 403 to the client (ASGI, "Close - send event")."""

    async def connect() -> Client:
        client = Client()
        await adapt(returning([]), Settings(), FakeHost())({"type": "websocket"}, client.receive, client.send)
        return client

    assert [message["type"] for message in asyncio.run(connect()).messages] == ["websocket.close"]


def test_flask_is_answered_whole() -> None:
    """Pages, redirects, errors, HEAD and files, each with `wsgiref.validate` around the app."""
    app = flask.Flask(__name__)
    closed: list[str] = []

    @app.route("/")
    def page() -> Any:
        response = app.make_response("h\u00e4llo " + flask.request.args.get("name", ""))
        response.call_on_close(lambda: closed.append(flask.request.path if flask.has_request_context() else "closed"))
        return response

    @app.route("/json", methods=["POST"])
    def json() -> Any:
        return {"got": flask.request.get_json(), "length": flask.request.content_length}

    @app.route("/file")
    def file() -> Any:
        return flask.send_file(__file__, conditional=True)

    @app.route("/error")
    def error() -> Any:
        raise KeyError

    @app.route("/stream")
    def stream() -> Any:
        return flask.Response(flask.stream_with_context(flask.request.path[i] for i in range(7)))

    page_answer = ask(app, request(query_string=b"name=x"))
    assert page_answer.body == "h\u00e4llo x".encode()
    assert dict(page_answer.fields)[b"content-length"] == b"8"
    assert len(page_answer.messages) == 2
    assert closed == ["closed"]
    posted = request("POST", "/json", [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")])
    assert ask(app, posted, [b'{"a"', b": 1}"]).body == b'{"got":{"a":1},"length":8}\n'
    source = open(__file__, "rb").read()  # noqa: PTH123, SIM115  # this very file
    assert ask(app, request(path="/file")).body == source
    part = ask(app, request(path="/file", headers=[(b"range", b"bytes=5-9")]))
    assert (part.status, part.body) == (206, source[5:10])
    assert ask(app, request("HEAD", "/file")).body == b""
    assert ask(app, request(path="/error")).status == 500
    assert ask(app, request(path="/missing")).status == 404
    assert ask(app, request(path="/stream")).body == b"/stream"


def test_the_way_through_the_adapter_is_short() -> None:
    """Beside the app itself a Flask response costs few calls; wall time would measure the machine.

    Measured with callgrind: 48,000 instructions beside the 332,000 of Flask's own hello world, and 24,000 for an
    adapter that checks nothing. As CPU time on a busy machine, 11 to 15 microseconds beside 40.
    """
    import sys

    calls: list[str] = []
    mine = "hotplate/gateway/wsgi"

    class Driven:
        async def on_loop(self) -> None:
            raise AssertionError

        async def call(self, function: Callable[[], Any], /) -> Any:
            return function()

        def blocking(self, awaitable: Callable[[], Any], /) -> Any:
            raise AssertionError

        def detach(self) -> None:
            raise AssertionError

    async def nowhere(message: Message = {}) -> Message:  # noqa: B006  # neither read nor written
        return message

    def note(frame: Any, event: str, _argument: object) -> None:
        if event == "call" and mine in frame.f_code.co_filename.replace("\\", "/"):
            calls.append(frame.f_code.co_name)

    body = returning(iter([b"hello"]), [PLAIN, ("Content-Length", "5")])
    coroutine: Any = adapt(body, Settings(), Driven())(request(), nowhere, nowhere)  # type: ignore[arg-type]  # takes and gives anything
    sys.setprofile(note)
    try:
        with pytest.raises(StopIteration):
            coroutine.send(None)
    finally:
        sys.setprofile(None)
    assert len(calls) <= 16, calls
