"""Asks WSGI apps through the adapter, as a server would, with everything a server decides in the test's hands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from wsgiref.validate import validator

from hotplate.gateway.types import Message, Scope
from hotplate.gateway.wsgi import adapt
from hotplate.gateway.wsgi.response import WSGIApp
from hotplate.settings import Settings

Result = TypeVar("Result")
Fields = Sequence[tuple[bytes, bytes]]
PATIENCE = 20.0  # seconds after which a wait has failed; nothing waits that long when all is well
PLAIN = ("Content-Type", "text/plain")


class FakeHost:
    """Hosts requests on the running loop and one pool of threads, and remembers what was asked of it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hops = 0
        self.detached = 0
        self.calls = 0

    async def on_loop(self) -> None:
        """Count."""
        self.hops += 1

    async def call(self, function: Callable[[], Result], /) -> Result:
        """Run it in a thread and come back to the loop."""
        self.calls += 1
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._threads, function)

    def blocking(self, awaitable: Callable[[], Awaitable[Result]], /) -> Result:
        """Have the loop await it."""

        async def awaited() -> Result:
            return await awaitable()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(PATIENCE)

    def detach(self) -> None:
        """Count."""
        self.detached += 1


class Client:
    """The other end of one request: what it sends, and what it was sent.

    Args:
        body: chunks of the request's body.
        gone: set when the client closes the connection; a set one closes it in the middle of the body.
        gate: waited for by each `send` of a part of a body: a client that reads slowly.
    """

    def __init__(self, body: Iterable[bytes] = (), *, gone: asyncio.Event | None = None) -> None:
        self._chunks = list(body)
        self.gone = gone or asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.messages: list[Message] = []
        self.threads: set[int] = set()
        self.received = 0
        self.arrived = asyncio.Condition()

    async def receive(self) -> Message:
        """Be the server's `receive`."""
        self.received += 1
        if self.gone.is_set():
            return {"type": "http.disconnect"}
        if self._chunks or self.received == 1:
            chunk = self._chunks.pop(0) if self._chunks else b""
            return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Be the server's `send`."""
        await self.gate.wait()
        self.messages.append(message)
        async with self.arrived:
            self.arrived.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what has arrived meets a condition."""
        async with self.arrived:
            await asyncio.wait_for(self.arrived.wait_for(condition), PATIENCE)

    @property
    def status(self) -> int:
        """The response's status."""
        return int(self.messages[0]["status"])

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The response's header fields."""
        return list(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        """The response's body so far."""
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def complete(self) -> bool:
        """Whether the response has come to its end."""
        return len(self.messages) > 1 and not self.messages[-1].get("more_body")

    @property
    def parts(self) -> list[bytes]:
        """The bodies of the messages, one by one."""
        return [message["body"] for message in self.messages[1:]]


def request(method: str = "GET", path: str = "/", headers: Fields = (), **changes: Any) -> Scope:
    """Return an HTTP scope."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.org"), *headers],
        "server": ("127.0.0.1", 8000),
        "client": ("192.0.2.7", 50000),
        "extensions": {},
        **changes,
    }


def ask(
    app: Callable[..., Iterable[bytes]],
    scope: Scope | None = None,
    body: Iterable[bytes] = (),
    *,
    host: FakeHost | None = None,
    strict: bool = True,
    settings: Settings | None = None,
) -> Client:
    """Send one request to `app` and return its client; `strict` puts `wsgiref.validate` around the app."""

    async def asked() -> Client:
        client = Client(body)
        adapted = adapt(validator(app) if strict else app, settings or Settings(), host or FakeHost())
        async with asyncio.timeout(PATIENCE):
            await adapted(scope or request(), client.receive, client.send)
        return client

    return asyncio.run(asked())


def seen_environ(scope: Scope, body: Iterable[bytes] = ()) -> dict[str, Any]:
    """Return the environ an app gets for a request, with what it reads from `wsgi.input` as `read`."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        seen.update(environ, read=environ["wsgi.input"].read(10**9))
        start_response("200 OK", [PLAIN])
        return [b"."]

    assert ask(app, scope, body).status == 200
    return seen


class Closing:
    """An iterable that notes how often, and where, it was closed."""

    def __init__(self, blocks: Iterable[bytes], *, fails: bool = False) -> None:
        self._blocks = iter(blocks)
        self._fails = fails
        self.closed = 0
        self.thread = 0

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """Note it."""
        self.closed += 1
        self.thread = threading.get_ident()
        if self._fails:
            raise OSError("close failed")


def returning(blocks: Any, headers: Sequence[tuple[str, str]] = (PLAIN,), status: str = "200 OK") -> WSGIApp:
    """Return an app that answers with `blocks`."""

    def app(environ: dict[str, Any], start_response: Callable[..., Callable[[bytes], object]]) -> Iterable[bytes]:
        start_response(status, list(headers))
        return blocks  # type: ignore[no-any-return]  # whatever a test wants it to be

    return app
