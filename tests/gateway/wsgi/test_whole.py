"""Responses that are known as a whole: how they are recognised, measured and ended."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.gateway.wsgi.asking import PLAIN, Client, Closing, FakeHost, ask, request, returning

LENGTH = b"content-length"


def _sized(number: int) -> list[tuple[str, str]]:
    return [PLAIN, ("Content-Length", str(number))]


class Alone(Closing):
    """An iterable that says it has one block."""

    def __len__(self) -> int:
        return 1


class Evasive(Closing):
    """An iterable that has a length, but does not know it."""

    def __len__(self) -> int:
        raise NotImplementedError


WHOLE: list[tuple[str, Callable[[], Any], list[tuple[str, str]], bytes]] = [
    ("list", lambda: [b"hello"], [PLAIN], b"hello"),
    ("list with length", lambda: [b"hello"], _sized(5), b"hello"),
    ("tuple of parts", lambda: (b"he", b"", b"llo"), [PLAIN], b"hello"),
    ("empty list", list, [PLAIN], b""),
    ("empty block", lambda: [b""], [PLAIN], b""),
    ("iterator that fills its length", lambda: Closing([b"hello"]), _sized(5), b"hello"),
    ("empty blocks before", lambda: Closing([b"", b"", b"hello"]), _sized(5), b"hello"),
    ("iterator without blocks", lambda: Closing([]), [PLAIN], b""),
    ("iterator of empty blocks", lambda: Closing([b"", b""]), [PLAIN], b""),
    ("length of nothing", lambda: Closing([]), _sized(0), b""),
    ("len() is one", lambda: Alone([b"hello"]), [PLAIN], b"hello"),
]


@pytest.mark.parametrize(("blocks", "headers", "body"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_a_whole_response_is_two_messages_with_its_length(
    blocks: Callable[[], Any], headers: list[tuple[str, str]], body: bytes
) -> None:
    """It goes out at once, not as a stream: no watcher, no thread of its own."""
    host = FakeHost()
    client = ask(returning(blocks(), headers), host=host, strict=False)
    assert client.parts == [body]
    assert client.complete
    assert client.fields == [(b"content-type", b"text/plain"), (LENGTH, b"%d" % len(body))]
    assert (client.received, host.detached) == (0, 0)


@pytest.mark.parametrize("blocks", [[b"hello"], [b"he", b"llo"], (b"hello",), iter([b"hello"])])
def test_the_validator_agrees(blocks: Any) -> None:
    """`wsgiref.validate` finds nothing wrong with how any of it is asked, iterated and closed."""
    client = ask(returning(blocks, _sized(5)))
    assert (client.body, client.complete) == (b"hello", True)


NO_BODY = [
    # method, status, headers, Content-Length sent
    ("HEAD", "200 OK", _sized(5), b"5"),
    ("HEAD", "200 OK", [PLAIN], b"5"),
    ("HEAD", "404 Not Found", _sized(99), b"99"),  # frameworks send the GET's length and no body
    ("GET", "204 No Content", [], None),
    ("GET", "204 No Content", [("Content-Length", "0")], None),
    ("GET", "304 Not Modified", [("ETag", '"x"')], None),
    ("GET", "304 Not Modified", [("Content-Length", "5")], b"5"),
]


@pytest.mark.parametrize("kind", [list, Closing])
@pytest.mark.parametrize(("method", "status", "headers", "length"), NO_BODY)
def test_answers_without_body_have_none(
    kind: type, method: str, status: str, headers: list[tuple[str, str]], length: bytes | None
) -> None:
    """HEAD, 204 and 304 send no byte, whatever the app returns, and only the lengths RFC 9110 allows."""
    blocks = kind([b"hello"])
    client = ask(returning(blocks, headers, status), request(method), strict=False)
    assert (client.body, client.complete) == (b"", True)
    if kind is Closing and headers == [PLAIN]:
        length = None  # there might have been more
    assert dict(client.fields).get(LENGTH) == length
    assert kind is list or blocks.closed == 1


def test_a_head_of_an_endless_stream_ends() -> None:
    """Nobody reads the body, so it is not made."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"data: x\n\n"

    client = ask(returning(endless()), request("HEAD"))
    assert (client.body, client.complete) == (b"", True)


@pytest.mark.parametrize("blocks", [[b"hello"], Closing([b"hello"]), Closing([b"he", b"llo"])])
def test_a_body_longer_than_declared_is_cut(blocks: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The surplus would be read as the next response; the log names the mistake."""
    client = ask(returning(blocks, _sized(4)), strict=False)
    assert (client.body, client.complete) == (b"hell", True)
    assert "longer than its declared 4 bytes" in caplog.text


@pytest.mark.parametrize("blocks", [[b"hello"], []])
def test_a_whole_body_shorter_than_declared_is_an_error(blocks: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is sent yet, so the client gets a clean 500 and the log both numbers."""
    client = ask(returning(blocks, _sized(6)), strict=False)
    assert client.status == 500
    assert f"declared 6 bytes and made {len(b''.join(blocks))}" in caplog.text


@pytest.mark.parametrize(
    "blocks",
    [Closing([b"hello"]), Closing([b"he", b"llo"]), Closing([]), Alone([b"x"]), Evasive([b"x", b"y"])],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once(blocks: Closing, method: str) -> None:
    """Whatever the iterable was, and in a thread of the pool, never on the loop."""
    blocks.closed = 0
    ask(returning(blocks), request(method), strict=False)
    assert blocks.closed == 1
    assert blocks.thread != threading.get_ident()


def test_close_comes_after_the_response() -> None:
    """What an app does in close() does not keep its client waiting."""
    sent: list[str] = []

    class Late(Closing):
        def close(self) -> None:
            super().close()
            sent.append("closed")

    class Watching(Client):
        async def send(self, message: Any) -> None:
            sent.append(message["type"])
            await super().send(message)

    import asyncio

    from hotplate.gateway.wsgi import adapt
    from hotplate.settings import Settings

    client = Watching()
    adapted = adapt(returning(Late([b"hello"]), _sized(5)), Settings(), FakeHost())
    asyncio.run(adapted(request(), client.receive, client.send))  # type: ignore[arg-type]  # it is a coroutine function
    assert sent == ["http.response.start", "http.response.body", "closed"]


def test_code_after_the_last_block_runs() -> None:
    """A generator that does something once its body is out gets its turn."""
    ran: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", _sized(5))
        yield b"hello"
        ran.append("after")

    assert ask(app).body == b"hello"
    assert ran == ["after"]


def test_failures_after_the_response_are_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client has its answer; the log has the traceback."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", _sized(5))
        yield b"hello"
        raise KeyError("after")

    assert ask(app).complete
    assert "after the response was sent" in caplog.text
    caplog.clear()
    blocks = Closing([b"hello"], fails=True)
    assert ask(returning(blocks, _sized(5)), strict=False).complete
    assert "close failed" in caplog.text
    assert blocks.closed == 1


FAILING: list[tuple[str, Callable[[], Any]]] = [
    ("no iterable", lambda: None),
    ("a string", lambda: "hello"),
    ("bytes", lambda: b"hello"),
    ("strings", lambda: ["hello"]),
    ("an iterator of strings", lambda: iter(["hello"])),
    ("a number", lambda: 5),
]


@pytest.mark.parametrize("blocks", [row[1] for row in FAILING], ids=[row[0] for row in FAILING])
def test_what_is_no_body_is_answered_500(blocks: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    """The client learns nothing, the log everything."""
    client = ask(returning(blocks()), strict=False)
    assert (client.status, client.body) == (500, b"Internal Server Error\n")
    assert "TypeError" in caplog.text


@pytest.mark.parametrize("error", [KeyError("s3cr3t"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_error_of_the_app_ends_its_request_only(
    error: BaseException, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback and answered 500, without a word of it; sys.exit() is no way to stop a server."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        raise error

    with caplog.at_level(logging.ERROR, "hotplate.app"):
        client = ask(app, request(method, "/path", query_string=b"token=hidden"), strict=False)
    assert (client.status, client.complete) == (500, True)
    assert client.body == (b"" if method == "HEAD" else b"Internal Server Error\n")
    record = caplog.records[0]
    assert record.getMessage() == f"Exception on {method} '/path'"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_an_error_while_iterating_closes_the_iterable() -> None:
    """And is answered 500, as nothing was sent."""

    def failing() -> Iterator[bytes]:
        raise KeyError
        yield b""

    blocks = Closing(failing())
    assert ask(returning(blocks), strict=False).status == 500
    assert blocks.closed == 1


def test_context_variables_are_the_requests_own() -> None:
    """What one request sets is there until its close(), and not seen by the next in the same thread."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    class Noting(Closing):
        def close(self) -> None:
            seen.append(variable.get())

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        seen.append(variable.get())
        variable.set("set")
        start_response("200 OK", _sized(1))
        return Noting([b"x"])

    host = FakeHost()
    ask(app, host=host, strict=False)
    ask(app, host=host, strict=False)
    assert seen == ["unset", "set", "unset", "set"]
