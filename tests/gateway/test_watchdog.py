"""A request that hangs is ended: 504 for its client, its stack for the log, and nobody else feels it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from hotplate.gateway.exchange import Exchange
from hotplate.gateway.metering import Metering, layer
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.gateway.watchdog import Watchdog

TIMEOUT = 30.0
PATIENCE = 30.0


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Watched:
    """A metered app under a watchdog, with a made-up clock."""

    def __init__(self, app: ASGIApp) -> None:
        self.clock = Clock()
        self.metering = Metering(self.clock)
        self.hung: list[tuple[Exchange, str]] = []
        self.watchdog = Watchdog(self.metering, TIMEOUT, lambda exchange, stack: self.hung.append((exchange, stack)))
        self.sent: list[Message] = []
        self._layer = layer(app, self.metering, lambda: False)

    async def receive(self) -> Message:
        """Never end: a client that sends nothing and stays."""
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        """Take a message for the client."""
        self.sent.append(message)

    def request(self, **others: object) -> Awaitable[None]:
        """Begin a GET."""
        scope: Scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/slow", "headers": []}
        scope.update(others)
        return self._layer(scope, self.receive, self.send)

    async def look(self, after: float = TIMEOUT + 1) -> int:
        """Let time pass, look once and end what is overdue; return how many that were."""
        self.clock.now += after
        overdue = self.watchdog.overdue()
        for exchange in overdue:
            await self.watchdog.end(exchange)
        return len(overdue)


async def started(condition: Callable[[], object]) -> None:
    """Let the loop go on until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0)


async def hang_here(released: asyncio.Event) -> None:
    """Hang, in a function whose name the stack must tell."""
    await released.wait()


def assert_answered(watched: Watched, status: int) -> None:
    """Exactly one whole response was sent, with `status`."""
    assert [message["type"] for message in watched.sent] == ["http.response.start", "http.response.body"]
    assert watched.sent[0]["status"] == status


def test_a_hung_coroutine_is_answered_reported_and_cancelled() -> None:
    """504 with `Connection: close`; the stack names where it waits; the task ends."""

    async def scenario() -> None:
        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            scope["hotplate.exchange"].task = asyncio.current_task()
            await hang_here(asyncio.Event())

        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.metering.in_flight)
        await started(lambda: next(iter(watched.metering.in_flight)).task)
        assert await watched.look() == 1
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_answered(watched, 504)
        assert (b"connection", b"close") in watched.sent[0]["headers"]
        ((exchange, stack),) = watched.hung
        assert exchange.path == "/slow"
        assert "hang_here" in stack
        assert "await released.wait()" in stack
        assert "metering.py" not in stack
        seen = watched.metering.snapshot()
        assert (seen.timeouts, seen.errors, seen.requests, seen.in_flight) == (1, 1, 1, 0)

    asyncio.run(scenario())


def test_a_hung_thread_is_reported_with_its_stack_and_its_late_answer_dropped() -> None:
    """The thread cannot be ended, but what it sends when it comes back goes nowhere."""

    async def scenario() -> None:
        begun, release = threading.Event(), threading.Event()

        def view_that_hangs() -> None:
            begun.set()
            release.wait(PATIENCE)

        async def app(scope: Scope, _receive: Receive, send: Send) -> None:
            exchange: Exchange = scope["hotplate.exchange"]
            await asyncio.to_thread(exchange.run, view_that_hangs)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"late"})

        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        await asyncio.to_thread(begun.wait, PATIENCE)
        assert await watched.look() == 1
        ((_exchange, stack),) = watched.hung
        assert "view_that_hangs" in stack
        assert "release.wait(PATIENCE)" in stack
        assert stack.startswith("  File")
        assert "exchange.py" not in stack.split("view_that_hangs")[0]
        release.set()
        await task
        assert_answered(watched, 504)
        assert watched.metering.snapshot().requests == 1

    asyncio.run(scenario())


def test_a_request_in_time_is_left_alone() -> None:
    """Nothing happens before the time-out, and each hung request is reported once."""

    async def scenario() -> None:
        released = asyncio.Event()

        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            scope["hotplate.exchange"].thread = threading.get_ident()
            await hang_here(released)

        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.metering.in_flight)
        assert await watched.look(after=TIMEOUT - 1) == 0
        assert await watched.look(after=2) == 1
        assert await watched.look(after=TIMEOUT) == 0
        assert len(watched.hung) == 1
        released.set()
        await task

    asyncio.run(scenario())


def test_a_queued_request_gets_504_and_blames_nobody() -> None:
    """No thread had taken it: its client is answered, its worker is not reported, and the app is spared."""

    async def scenario() -> None:
        taken = asyncio.Event()

        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            await taken.wait()
            scope["hotplate.exchange"].run(lambda: pytest.fail("reached the app"))

        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.metering.in_flight)
        assert await watched.look() == 1
        taken.set()
        await task
        assert_answered(watched, 504)
        assert watched.hung == []

    asyncio.run(scenario())


def stream(kind: bytes) -> tuple[ASGIApp, asyncio.Event]:
    """Return an app that sends a part whenever the event is set."""
    more = asyncio.Event()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["hotplate.exchange"].task = asyncio.current_task()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        while True:
            await more.wait()
            more.clear()
            await send({"type": "http.response.body", "body": b"part", "more_body": True})

    return app, more


def test_a_stream_lives_while_it_makes_progress() -> None:
    """A part within the time-out keeps it; silence ends it, without a second response."""

    async def scenario() -> None:
        app, more = stream(b"text/csv")
        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        for parts in range(1, 4):
            more.set()
            await started(lambda parts=parts: len(watched.sent) == 1 + parts)  # type: ignore[misc]  # lambda defaults
            assert await watched.look(after=TIMEOUT - 1) == 0
        assert await watched.look(after=2) == 1
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [message.get("status") for message in watched.sent] == [200, None, None, None]
        assert len(watched.hung) == 1

    asyncio.run(scenario())


def test_an_event_stream_may_be_silent() -> None:
    """Server-sent events wait for something to happen, before the first and between two."""

    async def scenario() -> None:
        app, more = stream(b"text/event-stream; charset=utf-8")
        watched = Watched(app)
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.sent)
        assert await watched.look() == 0
        more.set()
        await started(lambda: len(watched.sent) == 2)
        assert await watched.look(after=10 * TIMEOUT) == 0
        task.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("waits_to", ["receive", "send"])
def test_a_slow_client_is_no_hung_app(waits_to: str) -> None:
    """While the client sends its body or does not read, the app's time stands still."""

    async def scenario() -> None:
        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            if waits_to == "receive":
                await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})

        watched = Watched(app)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        watched.send = send  # type: ignore[method-assign]  # a client that does not read
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.metering.in_flight)
        await started(lambda: any(e.receiving or e.sending for e in watched.metering.in_flight))
        assert await watched.look() == 0
        task.cancel()

    asyncio.run(scenario())


def test_a_websocket_is_never_ended() -> None:
    """It may be silent for hours."""

    async def scenario() -> None:
        async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
            await receive()

        watched = Watched(app)
        task = asyncio.ensure_future(watched.request(type="websocket"))
        await started(lambda: watched.metering.in_flight)
        assert await watched.look(after=100 * TIMEOUT) == 0
        task.cancel()

    asyncio.run(scenario())


def test_a_client_that_cannot_be_answered_changes_nothing() -> None:
    """When sending the 504 fails, the hung request is reported all the same."""

    async def scenario() -> None:
        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            scope["hotplate.exchange"].task = asyncio.current_task()
            await hang_here(asyncio.Event())

        watched = Watched(app)

        async def send(message: Message) -> None:
            raise OSError("gone")

        watched.send = send  # type: ignore[method-assign]  # a client that left
        task = asyncio.ensure_future(watched.request())
        await started(lambda: watched.metering.in_flight)
        await started(lambda: next(iter(watched.metering.in_flight)).task)
        assert await watched.look() == 1
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(watched.hung) == 1

    asyncio.run(scenario())


def test_it_looks_by_itself() -> None:
    """Started on a loop, it finds a hung request without being asked, and stops when told to."""

    async def scenario() -> None:
        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            scope["hotplate.exchange"].task = asyncio.current_task()
            await hang_here(asyncio.Event())

        metering, hung = Metering(), list[str]()
        watchdog = Watchdog(metering, 0.05, lambda _exchange, stack: hung.append(stack))
        watchdog.start(asyncio.get_running_loop())
        scope: Scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/", "headers": []}
        watched = Watched(app)
        task = asyncio.ensure_future(layer(app, metering, lambda: False)(scope, watched.receive, watched.send))
        await started(lambda: hung)
        with pytest.raises(asyncio.CancelledError):
            await task
        watchdog.stop()

    asyncio.run(scenario())


def test_without_a_time_out_nothing_is_looked_at() -> None:
    """`--timeout never` sets no timer."""

    async def scenario() -> None:
        watchdog = Watchdog(Metering(), 0.0, lambda _exchange, _stack: None)
        watchdog.start(asyncio.get_running_loop())
        assert watchdog._timer is None

    asyncio.run(scenario())
