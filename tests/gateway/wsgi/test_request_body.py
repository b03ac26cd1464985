"""How bodies reach the app: whole, before a thread is taken."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hotplate.gateway.types import Message
from hotplate.gateway.wsgi import adapt
from hotplate.settings import Settings
from tests.gateway.wsgi.asking import PATIENCE, PLAIN, Client, FakeHost, Fields, ask, request, returning, seen_environ

SPOOL = 1024


def _length_app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    data = environ["wsgi.input"].read(10**9)
    start_response("200 OK", [PLAIN])
    return [b"%d %s" % (len(data), environ.get("CONTENT_LENGTH", "none").encode())]


@pytest.mark.parametrize(
    ("fields", "version"),
    [((), "1.1"), ((), "1.0"), ([(b"content-length", b"0")], "1.1"), ([(b"content-length", b"0")], "2")],
)
def test_a_request_that_says_it_has_no_body_is_not_read(fields: Fields, version: str) -> None:
    """It costs neither a hop to the loop nor a `receive`."""
    host = FakeHost()
    client = ask(_length_app, request(headers=fields, http_version=version), host=host, strict=False)
    assert (client.received, host.hops) == (0, 0)
    assert client.body.startswith(b"0 ")


BODIES: list[tuple[Fields, str, list[bytes], bytes]] = [
    # fields, version, chunks, what the app read and its CONTENT_LENGTH
    ([(b"content-length", b"5")], "1.1", [b"hello"], b"5 5"),
    ([(b"content-length", b"5")], "1.1", [b"he", b"", b"llo"], b"5 5"),
    ([(b"transfer-encoding", b"chunked")], "1.1", [b"he", b"llo"], b"5 5"),
    ([(b"transfer-encoding", b"chunked")], "1.1", [], b"0 0"),
    ([], "2", [b"hello"], b"5 5"),  # HTTP/2 needs to announce nothing
    ([], "2", [], b"0 none"),
    ([], "3", [b"x"], b"1 1"),
]


@pytest.mark.parametrize(("fields", "version", "chunks", "expected"), BODIES)
def test_bodies_arrive_with_their_length(fields: Fields, version: str, chunks: list[bytes], expected: bytes) -> None:
    """However a body was framed, the app can read it by CONTENT_LENGTH, which Django insists on."""
    client = ask(_length_app, request("POST", headers=fields, http_version=version), chunks)
    assert client.body == expected


def test_a_body_no_longer_in_chunks_is_not_called_so() -> None:
    """Transfer-Encoding is gone with the chunks (RFC 9112, section 7.1.3)."""
    environ = seen_environ(request("POST", headers=[(b"transfer-encoding", b"chunked")]), [b"x"])
    assert "HTTP_TRANSFER_ENCODING" not in environ


@pytest.mark.parametrize("size", [0, 1, SPOOL - 1, SPOOL, SPOOL + 1, 3 * SPOOL, 600_000])
@pytest.mark.parametrize("chunk", [100, SPOOL, 10**6])
def test_bodies_around_the_spool_size_are_the_same_to_the_app(size: int, chunk: int) -> None:
    """Memory up to the limit, a file above it, which is closed; lines, reads and the body's end are alike."""
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    chunks = [data[at : at + chunk] for at in range(0, size, chunk)]
    files: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        source = environ["wsgi.input"]
        files.append(source)
        got = source.readline() + source.read(7) + b"".join(source) + source.read()
        start_response("200 OK", [PLAIN])
        return [b"same" if got == data and source.read(1) == b"" else b"other"]

    scope = request("POST", headers=[(b"content-length", b"%d" % size)])
    client = ask(app, scope, chunks, strict=False, settings=Settings(spool_size=SPOOL))
    assert client.body == b"same"
    assert (not hasattr(files[0], "getvalue")) == (size > SPOOL)
    assert size <= SPOOL or files[0].closed


def test_a_slow_client_holds_no_thread() -> None:
    """The pool is not asked for a thread before the last byte of the body is there."""

    async def slow() -> None:
        host = FakeHost()
        more: asyncio.Queue[Message] = asyncio.Queue()
        asked = asyncio.Event()

        async def receive() -> Message:
            if more.empty():
                asked.set()
            return await more.get()

        client = Client()
        adapted = adapt(_length_app, Settings(), host)
        answering = asyncio.ensure_future(
            adapted(request("POST", headers=[(b"content-length", b"4")]), receive, client.send)
        )
        for _ in range(3):
            asked.clear()
            more.put_nowait({"type": "http.request", "body": b"a", "more_body": True})
            await asyncio.wait_for(asked.wait(), PATIENCE)
        assert host.calls == 0
        more.put_nowait({"type": "http.request", "body": b"b"})
        await asyncio.wait_for(answering, PATIENCE)
        assert (host.calls, client.body) == (1, b"4 4")

    asyncio.run(slow())


@pytest.mark.parametrize("before", [0, 1, SPOOL * 2])
def test_a_client_that_leaves_amid_its_body_is_not_answered(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is not called with half a body, and no file is left behind."""
    made: list[Any] = []
    make = tempfile.TemporaryFile

    def remembered() -> Any:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", remembered)
    messages: list[Message] = [{"type": "http.request", "body": b"x" * before, "more_body": True}] if before else []
    messages.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0)

    async def leave() -> Client:
        client, host = Client(), FakeHost()
        scope = request("POST", headers=[(b"content-length", b"9999")])
        await adapt(_length_app, Settings(spool_size=SPOOL), host)(scope, receive, client.send)
        assert host.calls == 0
        return client

    assert asyncio.run(leave()).messages == []
    assert len(made) == (before > SPOOL)
    assert all(file.closed for file in made)


def test_what_receive_raises_passes_through() -> None:
    """A refusal raised by a layer above, such as of too large a body, reaches that layer; the app is not called."""

    class TooLargeError(Exception):
        pass

    async def receive() -> Message:
        raise TooLargeError

    async def refuse() -> None:
        adapted = adapt(returning([b"never"]), Settings(), FakeHost())
        with pytest.raises(TooLargeError):
            await adapted(request("POST", headers=[(b"content-length", b"5")]), receive, Client().send)

    asyncio.run(refuse())
