"""One gateway in a process of its own, without a supervisor: what the tests of the request path talk to.

with gateway("tests.support.apps:flask_app", timeout=1.0) as served:
    served.get("/")
    served.order("drain", 5)
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Served:
    """A running gateway.

    Args:
        process: its process, which takes orders on stdin.
        listener: the listener it serves; ours too, as the master holds it.
    """

    def __init__(self, process: subprocess.Popen[str], listener: socket.socket) -> None:
        self.process = process
        self.listener = listener
        self.port: int = listener.getsockname()[1] if listener.family != socket.AF_UNIX else 0

    def connect(self) -> http.client.HTTPConnection:
        """Return a keep-alive connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str = "/", **headers: str) -> Answer:
        """GET `path` on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, path, **headers)
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        """Send bytes and return all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as sock:
            sock.sendall(request)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            return answer

    def order(self, name: str, *arguments: object) -> Any:
        """Have it do something (see `_obey`) and return what it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def ask(connection: http.client.HTTPConnection, path: str = "/", **headers: str) -> Answer:
    """GET `path` on a connection that may be used again."""
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


@contextmanager
def gateway(target: str, *, listener: socket.socket | None = None, **settings: object) -> Iterator[Served]:
    """Serve `target` ("module:attribute") on a free loopback port, or on `listener`, until the block ends."""
    own = listener or socket.create_server(("127.0.0.1", 0), backlog=256)
    command = [sys.executable, "-m", "tests.support.gateway_process", str(own.fileno()), target, json.dumps(settings)]
    process = subprocess.Popen(  # our own module
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        pass_fds=[own.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    served = Served(process, own)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == '"serving"\n', "the gateway did not start; see its stderr above"
        yield served
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if listener is None:
            own.close()


async def _serve(fd: int, target: str, overrides: dict[str, Any]) -> None:
    from hotplate.apps.load import load  # only in the child
    from hotplate.apps.target import parse  # only in the child
    from hotplate.gateway.server import Gateway  # only in the child
    from hotplate.settings import Settings  # only in the child

    server = Gateway(load(parse(target), ROOT), msgspec.convert(overrides, Settings))
    hung: list[str] = []
    server.on_hung = lambda _exchange, stack: hung.append(stack)
    await server.startup()
    server.serve([socket.socket(fileno=fd)])
    say("serving")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(await _obey(server, hung, *json.loads(line)))


async def _obey(server: Any, hung: list[str], name: str, *arguments: Any) -> object:
    match name:
        case "drain":
            server.park()
            return cast("object", await server.drain(*arguments))
        case "park":
            server._plane.park()  # the contract test's own concern
        case "shed":
            server.shed(*arguments)
        case "warm":
            rehearsed = await server.warm(*arguments)
            return [rehearsed.status, repr(rehearsed.error)]
        case "snapshot":
            return msgspec.to_builtins(server.snapshot())
        case "hung":
            return hung
        case "shutdown":
            await server.shutdown()
    return None


def say(answer: object) -> None:
    """Answer an order."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
