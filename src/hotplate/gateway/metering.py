"""Counts and times every request, and lets each be answered only once: by the app, or by its time-out.

What has to see a request's messages is a method of its `Exchange`: closures made for each request cost more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from time import perf_counter, thread_time
from typing import Protocol

from hotplate.gateway.exchange import AbandonedError, Exchange, Manner
from hotplate.gateway.histogram import Histogram, bucket
from hotplate.gateway.traffic import Traffic
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

_MOST_UNCOUNTED = 4096  # durations, 32 bytes each


class Threads(Protocol):
    """What metering reads of the thread pool."""

    @property
    def threads(self) -> int:
        """Threads that take calls."""

    @property
    def queued(self) -> int:
        """Calls that no thread has taken yet."""

    def oldest(self) -> float:
        """Age of the oldest of them, in seconds."""


class Metering:
    """What a worker has served and is serving; used by all its threads.

    Args:
        clock: monotonic seconds; replaced in tests.

    Attributes:
        in_flight: the exchanges that have begun and not ended, oldest first.

    Example:
        >>> metering = Metering()
        >>> exchange = metering.begin({"type": "http", "method": "GET", "path": "/"})
        >>> exchange.status = 200
        >>> metering.end(exchange)
        >>> metering.snapshot().requests
        1
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.in_flight: dict[Exchange, bool] = {}
        self.clock = clock
        self._lock = Lock()
        self._counts = Histogram().counts
        self._ended: deque[float] = deque()
        self._requests = self._errors = self._timeouts = self._refused = 0
        self._measured = 0
        self._cpu = self._wait = 0.0
        self._clients: set[tuple[str, int] | None] = set()
        self._last = clock()
        self._loop_cpu = thread_time()

    def restart(self) -> None:
        """Forget what was served so far: the warm-up."""
        with self._lock:
            self._ended.clear()
            self._counts = Histogram().counts
            self._requests = self._errors = self._timeouts = self._refused = self._measured = 0
            self._cpu = self._wait = 0.0
            self._clients = set()

    def begin(self, scope: Scope) -> Exchange:
        """Note a request that has come; its exchange is put into the scope as `hotplate.exchange`."""
        exchange = Exchange(scope, self.clock())
        scope["hotplate.exchange"] = exchange
        self._clients.add(exchange.client)
        self.in_flight[exchange] = True
        return exchange

    def end(self, exchange: Exchange) -> None:
        """Note that a request has been answered or given up; a second call does nothing."""
        if not self.in_flight.pop(exchange, False):
            return
        self._last = now = self.clock()
        ended = self._ended
        ended.append(-1.0 if exchange.exempt else now - exchange.started)
        if exchange.measured or exchange.status >= 500 or len(ended) > _MOST_UNCOUNTED:
            self._count(exchange)

    def note(self, client: tuple[str, int] | None, began: float) -> None:
        """Note a request that has been answered at once, without an exchange.

        Args:
            client: as ASGI has it.
            began: by `clock`.
        """
        self._clients.add(client)
        self._last = now = self.clock()
        self._ended.append(now - began)
        if len(self._ended) > _MOST_UNCOUNTED:
            with self._lock:
                self._fold()

    def _count(self, exchange: Exchange) -> None:
        """Add up what is not the same for every request, and what nobody has asked for in a while."""
        with self._lock:
            if exchange.measured:
                self._measured += 1
                self._cpu += exchange.cpu
                self._wait += exchange.wait
            if exchange.status >= 500:
                self._errors += 1
            if len(self._ended) > _MOST_UNCOUNTED:
                self._fold()

    def _fold(self) -> None:
        """Count the durations that have gathered; under the lock.

        Put aside first because it is cheaper so: measured within a Flask request, lock and bucket cost 3.7 microseconds
        per request one by one, and 0.4 in a batch.
        """
        take, counts = self._ended.popleft, self._counts
        for _ in range(len(self._ended)):
            seconds = take()
            self._requests += 1
            if seconds >= 0:
                counts[bucket(seconds)] += 1

    def expire(self, exchange: Exchange) -> None:
        """Note that a request ran into its time-out; it no longer counts as in flight."""
        with self._lock:
            self._timeouts += 1
        self.end(exchange)

    def refuse(self) -> None:
        """Note a request that was refused before it came this far."""
        with self._lock:
            self._refused += 1

    def snapshot(self, threads: Threads | None = None) -> Traffic:
        """Return what there is to tell; to be called by one thread only, the event loop's.

        Args:
            threads: the pool, if there is one.
        """
        clients, self._clients = self._clients, set()
        in_flight = list(self.in_flight)
        clients.update(exchange.client for exchange in in_flight)
        with self._lock:
            self._fold()
            counts = self._counts.copy()
            requests, measured, cpu, wait = self._requests, self._measured, self._cpu, self._wait
            errors, timeouts, refused = self._errors, self._timeouts, self._refused
        latency = Histogram.of(counts)
        p50, p95, p99 = latency.percentiles(50, 95, 99)
        if threads is None or not threads.threads:
            # No thread but this one has run the app: what it computed is what the requests cost.
            cpu, measured = thread_time() - self._loop_cpu, requests
        return Traffic(
            requests=requests,
            in_flight=len(in_flight),
            errors=errors,
            timeouts=timeouts,
            refused=refused,
            p50=p50,
            p95=p95,
            p99=p99,
            cpu_per_request=cpu / max(1, measured),
            wait_per_request=wait / max(1, measured),
            threads=threads.threads if threads is not None else 0,
            queued=threads.queued if threads is not None else 0,
            oldest_queued=threads.oldest() if threads is not None else 0.0,
            active_connections=len(clients),
            idle=0.0 if in_flight else self.clock() - self._last,
            latency=latency.pairs(),
        )


def layer(app: ASGIApp, metering: Metering, closing: Callable[[], bool], server: bytes = b"") -> ASGIApp:
    """Return `app` metered, its responses claimed, and its connections closed when they are to be.

    Args:
        app: the next layer.
        metering: counts.
        closing: asked once per HTTP/1 response whether it is to carry `Connection: close` (RFC 9112, section 9.6).
        server: value of the Server field of responses that have none; empty for none.
    """
    begin, end = metering.begin, metering.end
    manner = Manner(metering.clock, closing, (b"server", server) if server else None)

    async def metered(scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await app(scope, receive, send)
            return
        exchange = begin(scope)
        try:
            if kind == "websocket":
                exchange.exempt = True
                await app(scope, receive, send)
            else:
                exchange.manner, exchange.receive, exchange.send = manner, receive, send
                exchange.coroutine = answering = app(scope, exchange.received, exchange.answer)
                await answering
        except AbandonedError:
            pass  # the time-out's answer was the response
        except Exception:
            exchange.status = exchange.status or 500  # which the data plane answers
            raise
        finally:
            exchange.coroutine = None  # it holds this frame, which holds the exchange
            end(exchange)

    return metered
