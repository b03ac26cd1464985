"""One request being answered: who holds it, what it has cost, and who may answer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from threading import get_ident
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hotplate.gateway.poolthread import PoolThread, here
from hotplate.gateway.scopes import NOTHING

if TYPE_CHECKING:
    import asyncio

    from hotplate.gateway.types import Message, Receive, Scope, Send

Result = TypeVar("Result")
_UNMEASURED = 7  # of a thread's requests, those whose number has one of these bits


CLOSE = (b"connection", b"close")
_HTTP_1 = frozenset(("1", "1.0", "1.1"))


class AbandonedError(Exception):
    """The request was answered by its time-out before the app was reached; there is nothing left to do."""


class Manner(NamedTuple):
    """How the responses of a pipeline start.

    Args:
        clock: monotonic seconds.
        closing: asked once per HTTP/1 response whether it is to carry `Connection: close`.
        named: the Server field of responses that have none, None for none.
    """

    clock: Callable[[], float]
    closing: Callable[[], bool]
    named: tuple[bytes, bytes] | None


class Exchange:
    """One request and its response; in the scope as `hotplate.exchange`.

    Attributes:
        http_version: as ASGI has it.
        manner: how its response starts; set with `receive` and `send`, by metering.
        receive: the way in, below the app's.
        send: the way out, below the app's: what the time-out answers with.
        method: of the request; empty for a WebSocket.
        path: decoded, without the query.
        client: (host, port), None on a Unix socket.
        started: when it reached metering (`perf_counter`), in seconds.
        progress: when it last sent or received something, in seconds; `started` before that.
        measured: whether `cpu`, `wait` and `queued` were.
        cpu: seconds computed for it in threads of the pool.
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

    # Defaults of the class and not of each instance: one is made per request, and most never change.
    progress: float
    cpu = wait = queued = 0.0
    measured = False
    status = 0
    fields: Iterable[tuple[bytes, bytes]] = ()
    response_started = streaming = sending = receiving = body_received = exempt = abandoned = False
    manner: Manner
    receive: Receive
    send: Send
    thread: int | None = None
    task: asyncio.Task[Any] | None = None
    coroutine: object = None

    def __init__(self, scope: Scope, started: float) -> None:
        # Not the scope itself: it holds this object, and a circle would wait for the garbage collector.
        self.http_version: str = scope.get("http_version", "")
        self.method: str = scope.get("method", "")
        self.path: str = scope["path"]
        self.client: tuple[str, int] | None = scope.get("client")
        self.started = self.progress = started
        self._claims = [True]

    def claim(self) -> bool:
        """Return True exactly once, whichever thread asks: its caller may start the response."""
        try:
            return self._claims.pop()  # atomic, where a look and a store would not be
        except IndexError:
            return False

    async def received(self) -> Message:
        """Be the app's `receive`: notes that the client is being waited for to send the body."""
        if self.body_received:  # what comes now is the disconnect, which an app may await all the time
            return await self.receive()
        self.receiving = True
        try:
            message = await self.receive()
        finally:
            self.receiving = False
            self.progress = self.manner.clock()
        self.body_received = not message.get("more_body")
        return message

    def answer(self, message: Message) -> Awaitable[None]:
        """Be the app's `send`, which gets nothing out once the time-out has answered."""
        if message["type"] == "http.response.start":
            if not self.claim():
                return NOTHING
            clock, closing, named = self.manner
            self.response_started = True
            self.status = message["status"]
            self.progress = clock()
            self.fields = fields = message.get("headers", ())
            if self.http_version in _HTTP_1 and closing():
                message["headers"] = [field for field in fields if field[0].lower() != b"connection"]
                message["headers"].append(CLOSE)
            if named is not None:
                for field in fields:
                    if field[0] == b"server":
                        break
                else:
                    message["headers"] = [*message.get("headers", ()), named]
        elif self.abandoned:
            return NOTHING
        elif message.get("more_body"):
            return self._stream(message)
        return self.send(message)

    async def _stream(self, message: Message) -> None:
        """Send a part of a response, noting that the client is being waited for meanwhile."""
        if not self.streaming:
            self.streaming = True
            self.exempt = self.is_event_stream()
        self.sending = True
        try:
            await self.send(message)
        finally:
            self.sending = False
            self.progress = self.manner.clock()

    def is_event_stream(self) -> bool:
        """Whether the response is one of server-sent events, which may last and be silent as long as they like."""
        return any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.fields
        )

    def run(self, function: Callable[..., Result], *args: object) -> Result:
        """Call the app through `function` in this thread, and account for the time it takes, for one request in eight.

        Sampled because `thread_time` is a system call: measured, two of them cost 4 % of a Flask hello world.

        Raises:
            AbandonedError: the time-out has answered meanwhile; `function` was not called.
        """
        if self.abandoned:
            raise AbandonedError
        thread = here.thread
        self.thread = get_ident()
        try:
            if thread is not None and thread.done & _UNMEASURED:
                return function(*args)
            return self._measure(thread, function, args)
        finally:
            self.thread = None

    def _measure(self, thread: PoolThread | None, function: Callable[..., Result], args: tuple[object, ...]) -> Result:
        began, computed = perf_counter(), thread_time()
        if thread is not None:
            began = thread.since
            self.queued += thread.delay
        try:
            return function(*args)
        finally:
            self.measured = True
            cpu = thread_time() - computed
            self.cpu += cpu
            self.wait += max(0.0, perf_counter() - began - cpu)
