"""A whole site in this process: the real pipeline, driver and pool, asked without a connection.

with Site(app) as site:
    assert site.get("/").body == b"hello"
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple, Self

from hotplate.apps.load import LoadedApp
from hotplate.cache.service import Cache
from hotplate.cache.stores.base import Store
from hotplate.cache.stores.local import LocalStore
from hotplate.gateway import pipeline
from hotplate.gateway.closing import Closing
from hotplate.gateway.drive import Driver
from hotplate.gateway.executor import Pool
from hotplate.gateway.metering import Metering
from hotplate.gateway.types import Message, Scope
from hotplate.gateway.websockets import OpenSockets
from hotplate.settings import Settings
from tests.support.waiting import wait_until

PATIENCE = 60.0  # seconds after which a wait has failed

Fields = Mapping[str, str]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
View = Callable[[dict[str, Any]], "tuple[int | str, Fields, bytes | Iterable[bytes]]"]


class Answer(NamedTuple):
    """What a client got.

    Args:
        status: of the response.
        fields: its header fields; of several with one name the last.
        body: all of it that came.
        whole: whether it came to its end.
        all_fields: as sent.
    """

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool
    all_fields: list[tuple[bytes, bytes]]

    @property
    def cache(self) -> str:
        """Value of Cache-Status."""
        return self.fields.get("cache-status", "")

    @property
    def is_hit(self) -> bool:
        """Whether the cache says that it came from there."""
        return "; hit" in self.cache


class Client:
    """The other end of one request.

    Args:
        incoming: messages for `receive`; then it waits until `leave`.
    """

    def __init__(self, *incoming: Message) -> None:
        self._incoming = list(incoming)
        self._left: asyncio.Event | None = None
        self.gone = False
        self.messages: list[Message] = []
        self.ended: Future[BaseException | None] = Future()

    async def receive(self) -> Message:
        """Give the next message."""
        if self._incoming:
            return self._incoming.pop(0)
        self._left = self._left or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if not self.gone:
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message; raises as data planes do when the client has gone."""
        if self.gone:
            raise OSError("the client has gone")
        self.messages.append(dict(message))

    def leave(self) -> None:
        """Close the connection."""
        self.gone = True
        if self._left is not None:
            self._loop.call_soon_threadsafe(self._left.set)

    def answer(self) -> Answer:
        """Wait for the end of the request and return what came."""
        self.ended.result(PATIENCE)
        return self.seen()

    def seen(self) -> Answer:
        """Return what has come so far."""
        if not self.messages:
            return Answer(0, {}, b"", whole=False, all_fields=[])
        start, *bodies = self.messages
        headers = list(start.get("headers", ()))
        return Answer(
            start["status"],
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers},
            b"".join(message.get("body", b"") for message in bodies),
            bool(bodies) and not bodies[-1].get("more_body"),
            headers,
        )


def view_app(view: View) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """Return a WSGI app of a function that returns (status, fields, body)."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, fields, body = view(environ)
        start_response(f"{status} Said" if isinstance(status, int) else status, list(fields.items()))
        return [body] if isinstance(body, bytes) else body

    return app


class Views:
    """A view that counts its calls and can be held back.

    Args:
        fields: of each response.
        status: of each response.
        body: of each response; by default `call <number>`.
    """

    def __init__(self, fields: Fields, status: int = 200, body: bytes | None = None) -> None:
        self.fields = dict(fields)
        self.status = status
        self.body = body
        self.calls: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.raises: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any]) -> tuple[int, Fields, bytes]:
        """Answer."""
        with self._lock:
            self.calls.append(dict(environ))
            number = len(self.calls)
        assert self.gate.wait(PATIENCE)
        if self.raises is not None:
            raise self.raises
        return self.status, dict(self.fields), b"call %d" % number if self.body is None else self.body

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self.calls)

    def until_called(self, times: int) -> None:
        """Wait until it has been called that often."""
        wait_until(lambda: self.count >= times, what=f"{times} calls")


class Site:
    """An app behind the whole pipeline.

    Args:
        app: WSGI, or ASGI where `kind` says so; a `Views` is made one.
        kind: which.
        store: of the cache; by default one of this process.
        folder: of the cache; counters and the like are written there.
        settings: by name.
    """

    def __init__(
        self,
        app: Any,
        kind: Literal["wsgi", "asgi"] = "wsgi",
        store: Store | None = None,
        folder: str = "",
        **settings: Any,
    ) -> None:
        self.settings = Settings(**{"threads": 8, **settings})
        self.store = store or LocalStore(self.settings.cache_size)
        self.cache = Cache(self.store, self.settings, folder)
        self.metering = Metering()
        self.pool = Pool(self.settings)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="loop")
        self._thread.start()
        self.driver = Driver(self.loop, self.pool)
        called = view_app(app) if isinstance(app, Views) else app
        self.loaded = LoadedApp(called, "app:app", kind, None, "", "", ())
        self.parts = pipeline.Parts(
            self.driver, self.metering, Closing(), OpenSockets(), {}, b"hotplate", cache=self.cache
        )
        self.pipeline = pipeline.build(self.loaded, self.settings, self.parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        wait_until(lambda: not self.metering.in_flight, what="all requests have ended")
        self.pool.stop(5)
        self.cache.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()

    def start(
        self, path: str = "/", method: str = "GET", fields: Fields | None = None, body: bytes = b"", **scope: Any
    ) -> Client:
        """Begin a request, in this thread, as the data plane does."""
        client = Client({"type": "http.request", "body": body, "more_body": False})
        asked = self.scope(path, method, fields, body)
        asked.update(scope)
        self.driver.start(self.pipeline(asked, client.receive, client.send), client.ended.set_result)  # type: ignore[arg-type]  # the pipeline is made of coroutine functions
        return client

    def get(self, path: str = "/", method: str = "GET", **others: Any) -> Answer:
        """Ask and wait for the answer; other arguments are request fields, `_` for `-`, or `fields`."""
        fields = {**others.pop("fields", {}), **{name.replace("_", "-"): value for name, value in others.items()}}
        return self.start(path, method, fields).answer()

    def many(self, count: int, path: str = "/", fields: Fields | None = None) -> list[Client]:
        """Begin many requests at once."""
        return [self.start(path, fields=fields) for _ in range(count)]

    def quiet(self) -> None:
        """Wait until nothing is in flight, in the background either."""
        wait_until(lambda: not self.metering.in_flight, what="nothing is in flight")

    @staticmethod
    def scope(path: str = "/", method: str = "GET", fields: Fields | None = None, body: bytes = b"") -> Scope:
        """Return a request's scope as the data plane gives it."""
        raw_path, _, query = path.encode().partition(b"?")
        headers = {"host": "site.example", **(fields or {})}
        if body:
            headers["content-length"] = str(len(body))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": raw_path.decode(),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 4000),
            "extensions": {},
        }


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    wait_until(holds, what=what)


def now() -> float:
    """Wall-clock seconds."""
    return time.time()
