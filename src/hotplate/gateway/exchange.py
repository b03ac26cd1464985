"""One request being answered: who holds it, what it has cost, and who may answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import get_ident
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, TypeVar

from hotplate.gateway.poolthread import here

if TYPE_CHECKING:
    import asyncio

    from hotplate.gateway.types import Scope, Send

Result = TypeVar("Result")


class AbandonedError(Exception):
    """The request was answered by its time-out before the app was reached; there is nothing left to do."""


class Exchange:
    """One request and its response; in the scope as `hotplate.exchange`.

    Attributes:
        http_version: as ASGI has it.
        send: the way out, below the app's: what the time-out answers with.
        method: of the request; empty for a WebSocket.
        path: decoded, without the query.
        client: (host, port), None on a Unix socket.
        started: when it reached metering (`perf_counter`), in seconds.
        progress: when it last sent or received something, in seconds; `started` before that.
        cpu: seconds computed for it in threads of the pool, from the end of what that thread did before.
        wait: seconds in which such a thread held it and did not compute: I/O, locks, the GIL.
        queued: seconds it waited for a thread.
        status: of the response, 0 before it starts.
        fields: header fields of the response.
        response_started: whether the app has begun to answer.
        streaming: whether the response comes in parts.
        sending: whether the client is being waited for to take a part of the response: the app is not to blame.
        receiving: whether it is being waited for to send its body.
        body_received: whether that is complete.
        exempt: whether it may last as long as it likes: WebSockets and event streams.
        abandoned: whether the time-out answered in the app's place; what the app sends is dropped.
        thread: ident of the thread that runs the app for it now, None while none does.
        task: the asyncio task that runs the app for it; set by the ASGI adapter.
        coroutine: what the app returned, for its stack.
    """

    __slots__ = (
        "_claims",
        "abandoned",
        "body_received",
        "client",
        "coroutine",
        "cpu",
        "exempt",
        "fields",
        "http_version",
        "method",
        "path",
        "progress",
        "queued",
        "receiving",
        "response_started",
        "send",
        "sending",
        "started",
        "status",
        "streaming",
        "task",
        "thread",
        "wait",
    )

    def __init__(self, scope: Scope, started: float) -> None:
        # Not the scope itself: it holds this object, and a circle would wait for the garbage collector.
        self.http_version: str = scope.get("http_version", "")
        self.method: str = scope.get("method", "")
        self.path: str = scope["path"]
        self.client: tuple[str, int] | None = scope.get("client")
        self.started = self.progress = started
        self.cpu = self.wait = self.queued = 0.0
        self.status = 0
        self.fields: Iterable[tuple[bytes, bytes]] = ()
        self.response_started = self.streaming = self.sending = self.receiving = False
        self.body_received = self.exempt = self.abandoned = False
        self.send: Send | None = None
        self.thread: int | None = None
        self.task: asyncio.Task[Any] | None = None
        self.coroutine: object = None
        self._claims = [True]

    def claim(self) -> bool:
        """Return True exactly once, whichever thread asks: its caller may start the response."""
        try:
            return self._claims.pop()  # atomic, where a look and a store would not be
        except IndexError:
            return False

    def is_event_stream(self) -> bool:
        """Whether the response is one of server-sent events, which may last and be silent as long as they like."""
        return any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.fields
        )

    def run(self, function: Callable[[], Result]) -> Result:
        """Call the app through `function` in this thread, and account for the time it takes.

        CPU time counts from when the thread ended its previous request, so that one look at the clock per request is
        enough: measured, `thread_time` is a system call of 0.6 microseconds.

        Raises:
            AbandonedError: the time-out has answered meanwhile; `function` was not called.
        """
        thread = here.thread
        if thread is None:
            began, computed = perf_counter(), thread_time()
        else:
            began, computed = thread.since, thread.cpu
            self.queued += thread.delay
        if self.abandoned:
            raise AbandonedError
        self.thread = get_ident()
        try:
            return function()
        finally:
            self.thread = None
            clock = thread_time()
            cpu = clock - computed
            waited = perf_counter() - began - cpu
            self.cpu += cpu
            if waited > 0:
                self.wait += waited
            if thread is not None:
                thread.cpu = clock
