"""Requests of our own: sent through the pipeline without a connection, to warm a worker before it accepts one."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Self

from hotplate.gateway.scopes import bodiless
from hotplate.gateway.types import ASGIApp, Message, Scope

if TYPE_CHECKING:
    from hotplate.gateway.drive import Driver


class Overheard:
    """Keeps the last exception that was logged: Flask and Django answer 500 and only log what went wrong.

    By the record factory, since a handler would change which handlers Flask and Python think they need.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._make = logging.getLogRecordFactory()

    def __enter__(self) -> Self:
        logging.setLogRecordFactory(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        logging.setLogRecordFactory(self._make)

    def _note(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401  # passed on as they come
        record = self._make(*args, **kwargs)
        if record.exc_info and record.exc_info[1] is not None:
            self.error = record.exc_info[1]
        return record


def request(path: str) -> Scope:
    """Return the scope of a GET for `path` (with its query, if any) from this machine."""
    raw_path, _, query = path.encode().partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path.partition("?")[0],
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"user-agent", b"hotplate-warmup"), (b"accept", b"*/*")],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 0),
        "extensions": {},
        "hotplate.rehearsal": True,
    }


async def rehearse(driver: Driver, app: ASGIApp, path: str) -> tuple[int, float, BaseException | None]:
    """Send a GET for `path` through `app`; return its status, its duration in seconds and the error behind it.

    A response that never ends (server-sent events) counts as warm when it has started.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()
    statuses: list[int] = []

    def settle(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_result(error)

    def done(error: BaseException | None) -> None:
        loop.call_soon_threadsafe(settle, error)

    left = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            return
        loop.call_soon_threadsafe(left.set)
        if message.get("more_body"):
            done(None)

    began = time.perf_counter()
    with Overheard() as overheard:
        driver.start(app(request(path), bodiless(left), send), done)  # type: ignore[arg-type]  # the pipeline is made of coroutine functions
        error = await ended
    return (statuses or [500])[0], time.perf_counter() - began, error or overheard.error
