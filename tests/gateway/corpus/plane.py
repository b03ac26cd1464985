"""A data plane in a process of its own, bare or with the layers under test, and a client that sends it raw bytes.

Its app reads the whole body and answers with what it got, as JSON: the scope and the messages. At /unread it answers
without a look at the body.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from hotplate.gateway.body_hygiene import guarded
from hotplate.gateway.dataplane import DataPlane
from hotplate.gateway.drive import Driver
from hotplate.gateway.forwarded import forwarded
from hotplate.gateway.health import health
from hotplate.gateway.hygiene import hygiene
from hotplate.gateway.limits import Limits
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
Address = tuple[str, int] | str


class Reply(NamedTuple):
    """What came back: the status of the final response (0 for none), its fields, its body, and whether it closed."""

    status: int
    fields: dict[str, str]
    body: bytes
    closed: bool

    @property
    def seen(self) -> dict[str, Any]:
        """What the app got, where it was reached."""
        answer: dict[str, Any] = json.loads(self.body)
        return answer


class _NoPool:
    def submit(self, call: Callable[[], object], /) -> None:
        raise AssertionError("nothing here needs a thread")

    def detach(self) -> bool:
        raise AssertionError("nothing here needs a thread")


async def _tell(driver: Driver, scope: Scope, receive: Receive, send: Send) -> None:
    await driver.on_loop()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    messages: list[Message] = []
    while scope["path"] != "/unread" and (not messages or messages[-1].get("more_body")):
        messages.append(await receive())
    told = {key: value for key, value in scope.items() if key not in {"asgi", "extensions", "hotplate.head"}}
    body = json.dumps({"scope": told, "messages": messages}, default=lambda text: text.decode("latin-1")).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def _pipeline(driver: Driver, settings: Settings, *, bare: bool) -> ASGIApp:
    if bare:
        return partial(_tell, driver)
    limits = Limits.of(settings)
    app = forwarded(partial(_tell, driver), settings.trusted_proxies)
    app = guarded(app, limits, driver)
    app = health(app, settings.health_path)
    return hygiene(app, limits, driver)


async def _serve(fd: int, family: str, layers: str, overrides: str) -> None:
    settings = msgspec.json.decode(overrides, type=Settings)
    driver = Driver(asyncio.get_running_loop(), _NoPool())
    app = _pipeline(driver, settings, bare=layers == "bare")
    with socket.socket(socket.AddressFamily[family], fileno=fd) as listener:
        DataPlane(app, driver, settings, lambda _scope, error: _say(sys.stderr, repr(error))).serve([listener])
        _say(sys.stdout, "serving")
        await asyncio.Event().wait()


def _say(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


@contextmanager
def plane(layers: str, unix: Path | None = None, **settings: object) -> Iterator[Address]:
    """Serve until the block ends; `layers` is "bare" or "front". Yields the address to connect to."""
    family = socket.AF_INET if unix is None else socket.AF_UNIX
    with socket.socket(family) as listener:
        listener.bind(("127.0.0.1", 0) if unix is None else str(unix))
        listener.listen(256)
        arguments = (str(listener.fileno()), family.name, layers, msgspec.json.encode(settings).decode())
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.corpus.plane", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n", "the data plane did not start; see its stderr above"
            yield listener.getsockname()
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def talk(address: Address, data: bytes, *, ends: bool = False, timeout: float = 60) -> Reply:
    """Send `data` on a connection of its own and read the final response.

    Where a refusal promises to close, the end is waited for, so that a connection left open fails by `timeout` seconds.
    """
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as sock:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.sendall(data)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        return _read(sock)


def _read(sock: socket.socket) -> Reply:
    received = b""
    while True:
        head, found, rest = received.partition(b"\r\n\r\n")
        if found and head.startswith(b"HTTP/1.1 100"):
            received = rest
            continue
        if found:
            break
        chunk = _some(sock)
        if not chunk:
            return Reply(0, {}, received, closed=True)
        received += chunk
    status_line, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(status_line.split()[1])
    closes = "close" in fields.get("connection", "") or status_line.startswith("HTTP/1.0")
    length = int(fields["content-length"]) if "content-length" in fields else None
    while status != 101 and (closes or length is None or len(rest) < length):
        chunk = _some(sock)
        if not chunk:
            return Reply(status, fields, rest, closed=True)
        rest += chunk
    return Reply(status, fields, rest, closed=False)


def _some(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except ConnectionResetError:  # closed with bytes of ours unread
        return b""


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
