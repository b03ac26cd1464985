"""Compression message by message, without a server."""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import Any

import pytest

from hotplate.gateway.compressing import Compressor, compressing, layer
from hotplate.gateway.types import Message, Receive, Scope, Send
from hotplate.settings import Settings

TEXT = b"hello " * 1000
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def body(content: bytes = TEXT, **others: Any) -> Message:
    """Return a message with a body or a part of one."""
    return {"type": "http.response.body", "body": content, **others}


def sent(*messages: Message, method: str = "GET", accepts: bytes = b"gzip", **fields: bytes) -> list[Message]:
    """Return what leaves when an app sends `messages`."""
    out: list[Message] = []
    headers = [(b"accept-encoding", accepts), *((name.encode(), value) for name, value in fields.items())]
    scope: Scope = {"type": "http", "method": method, "headers": headers}

    async def send(message: Message) -> None:
        out.append(message)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def receive() -> Message:
        return {}

    asyncio.run(_awaited(layer(app, compressing(Settings())), scope, receive, send))
    return out


async def _awaited(app: Any, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def fields(message: Message) -> dict[bytes, bytes]:
    """Return a response's fields; no name comes twice."""
    assert len({name for name, _ in message["headers"]}) == len(message["headers"])
    return dict(message["headers"])


def test_a_whole_body() -> None:
    """Its start waits for it, so that its length is told."""
    start, content = sent(START, body())
    assert fields(start)[b"content-length"] == b"%d" % len(content["body"])
    assert gzip.decompress(content["body"]) == TEXT


def test_a_whole_body_in_two_messages() -> None:
    """Starlette's middleware sends a whole body as a stream of one part and an empty end."""
    declared = {**START, "headers": [*START["headers"], (b"content-length", b"%d" % len(TEXT))]}  # type: ignore[misc]  # a list
    start, content, end = sent(declared, body(more_body=True), body(b""))
    assert fields(start)[b"content-length"] == b"%d" % len(content["body"])
    assert gzip.decompress(content["body"] + end["body"]) == TEXT


def test_each_part_leaves_at_once() -> None:
    """One message for each, the first even where it is empty: an app may open a stream with it."""
    messages = sent(START, body(b"", more_body=True), *[body(b"%d\n" % n, more_body=True) for n in range(9)], body(b""))
    assert len(messages) == 12
    assert b"content-length" not in fields(messages[0])
    assert gzip.decompress(b"".join(message["body"] for message in messages[1:])) == b"".join(
        b"%d\n" % n for n in range(9)
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bodies_of_all_kinds(kind: Any) -> None:
    """Apps send views and arrays, too."""
    assert gzip.decompress(sent(START, body(kind(TEXT)))[1]["body"]) == TEXT
    parts = sent(START, body(kind(TEXT), more_body=True), body(kind(b"")))
    assert gzip.decompress(parts[1]["body"] + parts[2]["body"]) == TEXT


def test_the_apps_own_messages_stay_as_they_are() -> None:
    """An app may send the same objects again."""
    start, content = {**START, "headers": [(b"content-type", b"text/plain")]}, body()
    before = repr(start), repr(content)
    first, second = sent(start, content), sent(start, content)
    assert (repr(start), repr(content)) == before
    assert first == second


def test_fields_may_be_any_iterable() -> None:
    """As ASGI has it, and in any case of letters."""
    start = {
        **START,
        "headers": iter([[b"Content-Type", b"Text/Plain"], [b"ETag", b'"x"'], [b"Content-Length", b"6000"]]),
    }
    assert fields(sent(start, body())[0]) == {
        b"Content-Type": b"Text/Plain",
        b"etag": b'"x;gzip"',
        b"content-encoding": b"gzip",
        b"vary": b"Accept-Encoding",
        b"content-length": fields(sent(START, body())[0])[b"content-length"],
    }


@pytest.mark.parametrize(
    ("status", "others"),
    [
        (200, [(b"Content-Encoding", b"br")]),
        (200, [(b"content-range", b"bytes 0-5999/9000")]),
        (200, [(b"cache-control", b"public, No-Transform")]),
        (200, [(b"content-length", b"499")]),
        (204, []),
        (206, []),
        (304, []),
        (103, []),
    ],
)
def test_what_is_left_alone(status: int, others: list[tuple[bytes, bytes]]) -> None:
    """The very messages go on."""
    start = {**START, "status": status, "headers": [(b"content-type", b"text/plain"), *others]}
    content = body()
    out = sent(start, content)
    assert out[0] is start
    assert out[1] is content


@pytest.mark.parametrize("code", [200, 201, 400, 404, 500])
def test_errors_are_compressed_too(code: int) -> None:
    """A long error page is a page."""
    assert fields(sent({**START, "status": code}, body())[0])[b"content-encoding"] == b"gzip"


def test_a_file_that_the_server_reads() -> None:
    """Leaves as it is, at once."""
    path = {"type": "http.response.pathsend", "path": "/etc/hostname"}
    start, content = sent(START, path)
    assert content is path
    assert fields(start) == {b"content-type": b"text/plain", b"vary": b"Accept-Encoding"}


def test_other_messages_pass() -> None:
    """Trailers and the like are none of its business."""
    debug, trailers = {"type": "http.response.debug"}, {"type": "http.response.trailers", "headers": []}
    kinds = [message["type"].rpartition(".")[2] for message in sent(START, debug, body(), trailers)]
    assert kinds == ["debug", "start", "body", "trailers"]


def test_a_response_without_a_body_message_says_nothing() -> None:
    """The server answers for an app that ends before its body, as if nothing had been begun."""
    assert sent(START) == []


def test_websockets_and_the_like_pass() -> None:
    """The send itself is handed on."""
    compressor = compressing(Settings())

    async def send(message: Message) -> None:
        raise AssertionError(message)

    assert compressor.outward({"type": "websocket", "headers": [(b"accept-encoding", b"gzip")]}, send) is send
    assert Compressor((), 0).outward({"type": "http", "method": "GET", "headers": []}, send) is send


def test_no_layer_where_nothing_is_offered() -> None:
    """Switched off, it costs nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError(scope, receive, send)

    assert layer(app, compressing(Settings(compress=False))) is app


def test_unknown_codings_are_not_offered() -> None:
    """What this Python cannot do is left out."""
    assert Compressor((b"br", b"lzma", b"gzip"), 0).offered == (b"br", b"gzip")


def test_a_large_body_does_not_hold_up_the_loop() -> None:
    """It is compressed in another thread."""
    threads: set[str] = set()
    compressor = compressing(Settings())

    def work() -> bytes:
        threads.add(threading.current_thread().name)
        return b""

    async def ask() -> None:
        await compressor.away(work)

    asyncio.run(ask())
    assert threading.current_thread().name not in threads
    assert len(threads) == 1


def test_off_the_loop_the_host_takes_it() -> None:
    """On the data plane's thread; in a thread of the pool nothing waits, so it is done there."""
    called: list[str] = []

    class Host:
        async def call(self, function: Any) -> Any:
            called.append("pool")
            return function()

    compressor = Compressor((b"gzip",), 0, Host())  # type: ignore[arg-type]  # all of a host that is asked for
    coroutine = compressor.away(lambda: b"done")
    with pytest.raises(StopIteration) as over:
        coroutine.send(None)
    assert over.value.value == b"done"
    assert called == ["pool"]


def test_what_is_remembered_of_fields_goes_with_a_tag_that_is_changed() -> None:
    """An app that is to see its own tag must not get an environ made of the client's."""
    fields = [(b"accept-encoding", b"gzip"), (b"if-none-match", b'"x;gzip"')]
    scope: Scope = {"type": "http", "method": "GET", "headers": fields, "hotplate.head": object()}

    async def send(_message: Message) -> None:
        """Take anything."""

    compressing(Settings()).outward(scope, send)
    assert scope == {"type": "http", "method": "GET", "headers": [fields[0], (b"if-none-match", b'"x"')]}
