"""The real generation and worker around a gateway of a page's length: these tests are about processes, not about HTTP.

Run as the generation is: `python tests/supervisor/fake_gateway.py --channel FD`.
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
import time
import wsgiref.util
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from hotplate.apps.load import LoadedApp
from hotplate.gateway.traffic import Traffic
from hotplate.settings import Settings
from hotplate.supervisor import generation


class Outcome(NamedTuple):
    """How a request went."""

    status: int
    seconds: float
    error: BaseException | None


class HungRequest(NamedTuple):
    """A request whose time is up."""

    method: str
    path: str
    started: float


class FakeGateway:
    """Answers GETs in threads; /hang is reported as hung first; FAKE_DRAIN is how long a drain lasts."""

    def __init__(self, app: LoadedApp, settings: Settings) -> None:
        self._app = app.app
        self.on_hung: Callable[[Any, str], None] = lambda _request, _stack: None
        self._requests = 0
        self._in_flight = 0
        self._shed = 0
        self._servers: list[asyncio.Server] = []

    async def startup(self) -> None:
        """Do nothing."""

    async def warm(self, path: str) -> Outcome:
        """Ask the app itself."""
        began = time.perf_counter()
        try:
            status, _body = await asyncio.to_thread(self._call, path)
        except Exception as error:  # noqa: BLE001  whatever the app raises
            return Outcome(500, time.perf_counter() - began, error)
        return Outcome(status, time.perf_counter() - began, None)

    def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Accept connections."""
        self._tasks = [asyncio.ensure_future(self._accept(listener)) for listener in listeners]

    async def _accept(self, listener: socket.socket) -> None:
        self._servers.append(await asyncio.start_server(self._answer, sock=listener.dup()))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self._in_flight += 1
        if path == "/hang":
            self.on_hung(HungRequest("GET", path, time.perf_counter() - 30.0), "the stack")
        status, body = await asyncio.to_thread(self._call, path)
        self._requests += 1
        self._in_flight -= 1
        writer.write(b"HTTP/1.1 %d X\r\nX-Shed: %d\r\nConnection: close\r\n\r\n" % (status, self._shed) + body)
        await writer.drain()
        writer.close()

    def _call(self, path: str) -> tuple[int, bytes]:
        environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.input": io.BytesIO()}
        wsgiref.util.setup_testing_defaults(environ)
        statuses: list[int] = []

        def start_response(status: str, _headers: object, _exc_info: object = None) -> None:
            statuses.append(int(status[:3]))

        result: Iterable[bytes] = self._app(environ, start_response)
        body = b"".join(result)
        return statuses[0], body

    def snapshot(self) -> Traffic:
        """Say what was served."""
        return Traffic(requests=self._requests, in_flight=self._in_flight, threads=threading.active_count())

    def shed(self, count: int, /) -> None:
        """Note it, for the X-Shed header."""
        self._shed += count

    def park(self) -> None:
        """Close the listeners."""
        for server in self._servers:
            server.close()

    async def drain(self, grace: float) -> int:
        """Take as long as the environment says."""
        await asyncio.sleep(min(float(os.environ.get("FAKE_DRAIN", "0")), grace))
        return self._in_flight

    async def shutdown(self) -> None:
        """Leave a trace."""
        print("gateway shut down")  # noqa: T201  read by the tests


if __name__ == "__main__":
    generation.main(serving=lambda: FakeGateway)
