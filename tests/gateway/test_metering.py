"""Every request is counted, timed and answered once, whichever threads have it in hand."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from time import thread_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.exchange import AbandonedError, Exchange
from hotplate.gateway.histogram import Histogram
from hotplate.gateway.metering import Metering, layer
from hotplate.gateway.poolthread import PoolThread, here
from hotplate.gateway.traffic import Traffic
from hotplate.gateway.types import Message, Receive, Scope, Send
from tests.gateway.wire import CLOSE, OK, Clock, Wire, ask, hello, never, run, scope_of


def test_requests_are_counted_and_timed() -> None:
    """Count, duration, errors and what is in flight are those of the requests."""
    clock = Clock()
    metering = Metering(clock)
    for milliseconds in range(1, 101):
        exchange = metering.begin(scope_of())
        clock.now += milliseconds / 1000
        exchange.status = 500 if milliseconds == 1 else 200
        metering.end(exchange)
    waiting = metering.begin(scope_of())
    seen = metering.snapshot()
    assert (seen.requests, seen.errors, seen.in_flight, seen.idle) == (100, 1, 1, 0.0)
    assert (seen.p50, seen.p95, seen.p99) == pytest.approx((0.050, 0.095, 0.099), rel=0.01)
    metering.end(waiting)
    clock.now += 3.0
    assert metering.snapshot().idle == pytest.approx(3.0)


def test_a_request_ends_once() -> None:
    """Ending it again, as a time-out and the app might, changes nothing."""
    metering = Metering()
    exchange = metering.begin(scope_of())
    metering.end(exchange)
    metering.end(exchange)
    assert metering.snapshot().requests == 1


def test_several_threads_lose_no_count() -> None:
    """Requests that begin and end in different threads at once are all counted."""
    metering = Metering()

    def serve() -> None:
        for _ in range(2000):
            metering.end(metering.begin(scope_of()))

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = metering.snapshot()
    assert (seen.requests, seen.in_flight) == (8000, 0)
    assert sum(count for _bucket, count in seen.latency) == 8000


def test_what_is_told_survives_json() -> None:
    """The record reaches the master as it was, histogram included."""
    metering = Metering()
    metering.end(metering.begin(scope_of()))
    seen = metering.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(seen), type=Traffic) == seen
    assert Histogram(seen.latency).percentile(50) == seen.p50


def test_active_connections_are_those_that_sent_something_lately() -> None:
    """A client counts once, while its request is in flight and in the record after its last request."""
    metering = Metering()
    for port in (1, 1, 2):
        metering.end(metering.begin(scope_of(client=("10.0.0.1", port))))
    staying = metering.begin(scope_of(client=("10.0.0.1", 3)))
    assert metering.snapshot().active_connections == 3
    assert metering.snapshot().active_connections == 1
    metering.end(staying)
    assert metering.snapshot().active_connections == 0


def test_only_one_claims_a_response() -> None:
    """Of many threads that would answer, exactly one may."""
    for _ in range(50):
        exchange = Exchange(scope_of(), 0.0)
        barrier, claims = threading.Barrier(8), list[bool]()

        def claim(barrier: threading.Barrier, exchange: Exchange, claims: list[bool]) -> None:
            barrier.wait()
            claims.append(exchange.claim())

        threads = [threading.Thread(target=claim, args=(barrier, exchange, claims)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(claims) == [False] * 7 + [True]


@pytest.fixture
def pool_thread() -> Iterator[PoolThread]:
    """Make this thread one of a pool for the test."""
    thread = PoolThread()
    thread.begin()
    yield thread
    here.thread = None


def burn(seconds: float) -> Callable[[], None]:
    """Return a function that computes for `seconds`."""

    def compute() -> None:
        until = thread_time() + seconds
        while thread_time() < until:
            pass

    return compute


def test_computing_and_waiting_are_told_apart(pool_thread: PoolThread) -> None:
    """CPU time and the rest of the time a thread held a request go to different accounts, the queue to a third."""
    metering = Metering()
    exchange = metering.begin(scope_of())
    pool_thread.since, pool_thread.delay = metering.clock(), 0.25
    exchange.run(burn(0.02))
    pool_thread.since = metering.clock()
    exchange.run(lambda: threading.Event().wait(0.05))
    assert 0.02 <= exchange.cpu < 0.05
    assert exchange.wait >= 0.04
    assert exchange.queued == 0.5
    metering.end(exchange)

    class OneThread:
        threads = 1
        queued = 7

        def oldest(self) -> float:
            return 1.5

    seen = metering.snapshot(OneThread())
    assert (seen.cpu_per_request, seen.wait_per_request) == (exchange.cpu, exchange.wait)
    assert (seen.threads, seen.queued, seen.oldest_queued) == (1, 7, 1.5)


def test_the_thread_of_a_request_is_known_while_it_runs() -> None:
    """Outside the pool, too, and no longer than that, even after an error."""
    exchange = Exchange(scope_of(), 0.0)
    assert exchange.run(lambda: exchange.thread) == threading.get_ident()

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        exchange.run(fail)
    assert exchange.thread is None


def test_an_abandoned_request_does_not_reach_the_app() -> None:
    """Answered by its time-out while it was queued, it is dropped when a thread takes it."""
    exchange = Exchange(scope_of(), 0.0)
    exchange.abandoned = True
    with pytest.raises(AbandonedError):
        exchange.run(lambda: pytest.fail("reached"))


def test_the_layer_meters_without_a_loop() -> None:
    """A whole response passes on the data plane's thread, counted and unchanged."""
    metering, wire, scope = Metering(), Wire(), scope_of()
    ask(layer(hello, metering, never), scope, wire)
    assert wire.headers == OK
    assert scope["hotplate.exchange"].status == 200
    assert metering.snapshot().requests == 1


@pytest.mark.parametrize(("version", "closes"), [("1.0", True), ("1.1", True), ("2", False)])
def test_connections_are_closed_where_the_protocol_has_it(version: str, closes: bool) -> None:
    """HTTP/1 says `Connection: close`, in place of what the app said; HTTP/2 has no such field."""
    wire = Wire()

    async def keeps(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*OK, (b"Connection", b"keep-alive")]})
        await send({"type": "http.response.body", "body": b"ok"})

    ask(layer(keeps, Metering(), lambda: True), scope_of(http_version=version), wire)
    assert (CLOSE in wire.headers) is closes
    assert ((b"Connection", b"keep-alive") in wire.headers) is not closes


@pytest.mark.parametrize("closing", [True, False])
def test_a_server_field_is_given_where_there_is_none(closing: bool) -> None:
    """The app's own stays; closing the connection does not lose it."""
    wires = Wire(), Wire()

    async def named(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"theirs")]})

    for app, wire in zip((hello, named), wires, strict=True):
        ask(layer(app, Metering(), lambda: closing, b"ours"), scope_of(), wire)
    assert [value for wire in wires for name, value in wire.headers if name == b"server"] == [b"ours", b"theirs"]
    assert all((CLOSE in wire.headers) is closing for wire in wires)


def test_after_the_time_out_answered_the_app_is_not_heard() -> None:
    """Whoever claims the response first is the only one who sends it."""
    wire, metering = Wire(), Metering()

    async def late(scope: Scope, _receive: Receive, send: Send) -> None:
        exchange = scope["hotplate.exchange"]
        assert exchange.claim()
        exchange.abandoned = True
        await send({"type": "http.response.start", "status": 200, "headers": OK})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    ask(layer(late, metering, never), scope_of(), wire)
    assert wire.sent == []
    assert metering.snapshot().in_flight == 0


def test_an_error_is_counted_and_passed_on() -> None:
    """An exception of the app ends the request as a 500 and goes on to the data plane."""
    metering, scope = Metering(), scope_of()

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ask(layer(broken, metering, never), scope, Wire())
    seen = metering.snapshot()
    assert (seen.requests, seen.errors, seen.in_flight) == (1, 1, 0)


def test_a_client_that_left_is_no_error_of_the_app() -> None:
    """A cancelled request is counted, but not as failed."""
    metering = Metering()

    async def cancelled(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        ask(layer(cancelled, metering, never), scope_of(), Wire())
    assert metering.snapshot().errors == 0


def test_waiting_for_the_client_is_seen() -> None:
    """While the body arrives or a part of the response leaves, the app is not to blame; afterwards it is again."""
    seen: list[tuple[bool, bool]] = []
    scope = scope_of(method="POST")

    def look() -> None:
        exchange = scope["hotplate.exchange"]
        seen.append((exchange.receiving, exchange.sending))

    async def receive() -> Message:
        look()
        return {"type": "http.request", "body": b"", "more_body": len(seen) < 2}

    async def send(_message: Message) -> None:
        look()

    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        look()
        await receive()
        await receive()  # the disconnect: no longer waiting for the body
        await send({"type": "http.response.start", "status": 200, "headers": OK})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    run(layer(echo, Metering(), never)(scope, receive, send))  # type: ignore[arg-type]  # as in `ask`
    none, receiving, sending = (False, False), (True, False), (False, True)
    assert seen == [receiving, none, receiving, none, none, sending, none]


def test_event_streams_and_websockets_do_not_spoil_the_latencies() -> None:
    """What lasts as long as its client likes is counted, and not timed."""
    metering = Metering()

    async def events(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def socket(scope: Scope, _receive: Receive, _send: Send) -> None:
        assert scope["hotplate.exchange"] in metering.in_flight

    ask(layer(events, metering, never), scope_of(), Wire())
    ask(layer(socket, metering, never), {"type": "websocket", "path": "/"}, Wire())
    seen = metering.snapshot()
    assert (seen.requests, seen.latency) == (2, ())


def test_a_lifespan_is_no_request() -> None:
    """It passes through."""
    metering = Metering()

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        assert "hotplate.exchange" not in scope

    ask(layer(app, metering, never), {"type": "lifespan"}, Wire())
    assert metering.snapshot().requests == 0


def test_an_answered_request_leaves_nothing_to_the_garbage_collector() -> None:
    """No circle of references is made: at thousands of requests a second the collector would show in the p99."""
    app = layer(hello, Metering(), never)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            ask(app, scope_of(), Wire())
        assert gc.collect() == 0
    finally:
        gc.enable()


@given(st.lists(st.sampled_from(["begin", "end", "expire"]), max_size=60))
def test_counts_always_add_up(steps: list[str]) -> None:
    """Whatever order requests begin, end and run out of time in: none is lost, none counted twice."""
    metering, begun, live = Metering(), 0, list[Exchange]()
    ended = list[Exchange]()
    for number, step in enumerate(steps):
        if step == "begin":
            live.append(metering.begin(scope_of(str(number))))
            begun += 1
        elif live:
            exchange = live.pop(number % len(live))
            ended.append(exchange)
            metering.end(exchange) if step == "end" else metering.expire(exchange)
        elif ended:
            metering.end(ended[-1])
    seen = metering.snapshot()
    assert seen.requests + seen.in_flight == begun
    assert seen.in_flight == len(live)
