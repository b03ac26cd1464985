"""Responses that are sent while the app makes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from hotplate.gateway.types import Message
from hotplate.gateway.wsgi import adapt
from hotplate.gateway.wsgi.response import BrokenOffError
from hotplate.gateway.wsgi.stream import HIGH_WATER, ClientGoneError
from hotplate.settings import Settings
from tests.gateway.wsgi.asking import PATIENCE, PLAIN, Client, Closing, FakeHost, ask, request, returning

Starter = Callable[..., Callable[[bytes], object]]


def _sized(number: int) -> list[tuple[str, str]]:
    return [PLAIN, ("Content-Length", str(number))]


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE * 2):
            await scenario()

    asyncio.run(within())


def _serve(app: Callable[..., Iterable[bytes]], client: Client, host: FakeHost | None = None) -> asyncio.Task[None]:
    adapted = adapt(app, Settings(), host or FakeHost())
    return asyncio.ensure_future(adapted(request(), client.receive, client.send))


@pytest.mark.parametrize("headers", [[PLAIN], _sized(10)])
def test_blocks_of_a_generator_arrive_in_order_and_whole(headers: list[tuple[str, str]]) -> None:
    """With a declared length or without; `wsgiref.validate` has nothing to say."""
    host = FakeHost()
    client = ask(returning((b"%d" % number for number in range(10)), headers), host=host)
    assert (client.body, client.complete) == (b"0123456789", True)
    assert client.fields == [(name.lower().encode(), value.encode()) for name, value in headers]
    assert host.detached == 1


def test_a_block_leaves_before_the_next_is_made() -> None:
    """As server-sent events need it, and PEP 3333 demands: no block waits for the one after it."""
    go = threading.Semaphore(0)

    def events() -> Iterator[bytes]:
        for number in range(3):
            yield b"data: %d\n\n" % number
            assert go.acquire(timeout=PATIENCE)

    async def scenario() -> None:
        client = Client()
        serving = _serve(returning(events(), [("Content-Type", "text/event-stream")]), client)
        for number in range(3):
            await client.until(lambda number=number: b"data: %d" % number in client.body)  # type: ignore[misc]  # bound at once
            assert not client.complete
            go.release()
        await serving
        assert client.complete

    _run(scenario)


def test_many_small_blocks_are_sent_together() -> None:
    """A row at a time is how CSV is written, not how it must travel."""
    client = ask(returning(b"row %d\n" % number for number in range(5000)), strict=False)
    assert client.body == b"".join(b"row %d\n" % number for number in range(5000))
    assert len(client.parts) < 2500


def test_a_slow_reader_holds_the_app_back() -> None:
    """The app gets ahead by what is on its way and the high-water mark, no more, so memory stays bounded."""
    ahead: list[int] = []
    block = b"x" * 65536
    client = Client()

    def blocks() -> Iterator[bytes]:
        for number in range(64):
            ahead.append(number * len(block) - len(client.body))
            yield block

    async def scenario() -> None:
        serving = _serve(returning(blocks()), client)
        await client.until(lambda: len(client.messages) > 1)
        client.gate.clear()
        while max(ahead) < HIGH_WATER:  # noqa: ASYNC110  # what the app has made is counted in its own thread
            await asyncio.sleep(0)
        for _ in range(2000):  # were it not held back, it would run to its end meanwhile
            await asyncio.sleep(0)
        client.gate.set()
        await serving

    _run(scenario)
    assert len(client.body) == 64 * len(block)
    assert max(ahead) <= 2 * (HIGH_WATER + len(block))


def test_a_gone_client_stops_the_app() -> None:
    """The generator gets GeneratorExit at its next block, close() is called once, and nothing is logged as an error."""
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick\n"
        finally:
            ended.set()

    async def scenario() -> None:
        client = Client()
        blocks = Closing(endless())

        serving = _serve(returning(_Both(endless(), blocks)), client)
        await client.until(lambda: b"tick" in client.body)
        client.gone.set()
        await serving
        assert ended.wait(PATIENCE)
        assert blocks.closed == 1
        assert not client.complete

    _run(scenario)


class _Both:
    """Iterates over one thing and closes it with another."""

    def __init__(self, blocks: Any, closing: Closing) -> None:
        self._blocks, self._closing = blocks, closing

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        self._blocks.close()
        self._closing.close()


def test_a_gone_client_stops_an_app_with_nothing_to_say() -> None:
    """Empty blocks are a chance to stop, too."""

    async def scenario() -> None:
        client = Client()

        def idle() -> Iterator[bytes]:
            yield b"hello"
            while True:
                yield b""

        blocks = Closing(idle())
        serving = _serve(returning(blocks), client)
        await client.until(lambda: client.body == b"hello")
        client.gone.set()
        await serving
        assert blocks.closed == 1

    _run(scenario)


def test_a_gone_client_releases_an_app_that_is_held_back() -> None:
    """A thread that waits for a slow reader does not wait for one that left."""

    async def scenario() -> None:
        client = Client()
        blocks = Closing(iter(lambda: b"x" * HIGH_WATER, b""))
        serving = _serve(returning(blocks), client)
        await client.until(lambda: len(client.messages) > 1)
        client.gate.clear()
        client.gone.set()
        await serving
        assert blocks.closed == 1

    _run(scenario)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_send_that_fails_ends_the_stream(at: int) -> None:
    """Servers may raise OSError once the client is gone (ASGI 2.4)."""

    class Failing(Client):
        async def send(self, message: Message) -> None:
            if len(self.messages) == at:
                raise ConnectionResetError
            await super().send(message)

    async def scenario() -> None:
        client = Failing()
        blocks = Closing(iter(lambda: b"x", b""))
        await _serve(returning(blocks), client)
        assert blocks.closed == 1

    _run(scenario)


def test_a_cancelled_request_stops_the_app() -> None:
    """Servers that cancel the request's task when the client leaves are heard, too."""

    async def scenario() -> None:
        client = Client()
        closed = threading.Event()

        class Signalling(Closing):
            def close(self) -> None:
                super().close()
                closed.set()

        serving = _serve(returning(Signalling(iter(lambda: b"x", b""))), client)
        await client.until(lambda: len(client.messages) > 1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert await asyncio.to_thread(closed.wait, PATIENCE)

    _run(scenario)


def test_an_error_amid_a_stream_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    """What was made is sent, the end is not: the client must not take a part for the whole."""

    def failing() -> Iterator[bytes]:
        yield b"one,"
        yield b"two,"
        raise KeyError("three")

    blocks = Closing(failing())

    async def scenario() -> None:
        client = Client()
        with pytest.raises(BrokenOffError) as caught:
            await _serve(returning(blocks), client)
        assert isinstance(caught.value.__cause__, KeyError)
        assert (client.body, client.complete) == (b"one,two,", False)

    _run(scenario)
    assert blocks.closed == 1
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("bad", ["text", 5, None])
def test_a_block_that_is_no_bytes_breaks_it_off(bad: Any) -> None:
    """The loop is not bothered with it."""

    async def scenario() -> None:
        client = Client()
        with pytest.raises(BrokenOffError):
            await _serve(returning(iter([b"one", bad])), client)
        assert (client.body, client.complete) == (b"one", False)

    _run(scenario)


def test_a_stream_shorter_than_declared_is_broken_off() -> None:
    """The connection must close, as the client waits for the rest."""

    async def scenario() -> None:
        client = Client()
        with pytest.raises(BrokenOffError):
            await _serve(returning(iter([b"one", b"two"]), _sized(7)), client)
        assert (client.body, client.complete) == (b"onetwo", False)

    _run(scenario)


def test_a_stream_longer_than_declared_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """Even one that would never end."""
    blocks = Closing(iter(lambda: b"abc", b""))
    client = ask(returning(blocks, _sized(7)), strict=False)
    assert (client.body, client.complete) == (b"abcabca", True)
    assert blocks.closed == 1
    assert "longer than its declared 7 bytes" in caplog.text


def test_write_sends_at_once() -> None:
    """Before `write()` returns the block is on its way; what the iterable has comes after it."""
    seen: list[int] = []
    clients: list[Client] = []

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        write = start_response("200 OK", [PLAIN])
        write(b"one,")
        seen.append(len(clients[0].messages))
        write(b"")
        write(b"two,")
        return [b"three", b",four"]

    async def scenario() -> None:
        clients.append(Client())
        await _serve(app, clients[0])

    _run(scenario)
    assert seen == [2]
    assert (clients[0].body, clients[0].complete) == (b"one,two,three,four", True)


def test_write_alone_is_a_response() -> None:
    """The iterable may be empty, as the standard's `write()` section has it; the validator agrees."""

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", _sized(5))(b"hello")
        return []

    client = ask(app)
    assert (client.body, client.complete) == (b"hello", True)


def test_write_is_held_to_the_rules() -> None:
    """No surplus, no body where there is none, nothing but bytes, and an error afterwards breaks off."""

    def surplus(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        write = start_response("200 OK", _sized(4))
        write(b"hello")
        write(b"more")
        return [b"and more"]

    assert ask(surplus, strict=False).body == b"hell"
    assert ask(surplus, request("HEAD"), strict=False).body == b""

    def text(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])("hello")  # type: ignore[arg-type]  # the mistake
        return []

    assert ask(text, strict=False).status == 500

    def failing(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])(b"hello")
        raise KeyError

    with pytest.raises(BrokenOffError):
        ask(failing, strict=False)


def test_write_tells_an_app_that_its_client_is_gone() -> None:
    """As an OSError, which apps that write expect."""
    errors: list[OSError] = []

    async def scenario() -> None:
        client = Client()

        def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
            write = start_response("200 OK", [PLAIN])
            try:
                while True:
                    write(b"x" * 1000)
            except OSError as error:
                errors.append(error)
                raise

        serving = _serve(app, client)
        await client.until(lambda: len(client.messages) > 1)
        client.gone.set()
        await serving

    _run(scenario)
    assert isinstance(errors[0], ClientGoneError)


def test_streams_leave_nothing_behind() -> None:
    """Neither tasks on the loop nor threads, however the stream ended."""

    async def scenario() -> None:
        for number in range(20):
            client = Client()
            serving = _serve(returning(b"x" * 10 for _ in range(number + 1)), client)
            await client.until(lambda: len(client.messages) > 1)  # noqa: B023  # awaited before the next is made
            if number % 2:
                client.gone.set()
            await serving
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(scenario)
