"""Starting a server, waiting until it answers, asking what it holds, and ending it with all its children."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent
_DEADLINE = 120.0


class Server:
    """A running server; `started` is when its process was (perf_counter seconds)."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, started: float) -> None:
        self.process = process
        self.port = port
        self.started = started

    def tree(self) -> list[psutil.Process]:
        """The server's processes, parents first."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def pss(self) -> int:
        """Bytes of memory, shared pages counted once."""
        total = 0
        for process in self.tree():
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def get(self, path: str = "/", timeout: float = 60) -> float:
        """Ask once on a new connection; return how long it took in seconds."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}")
        return time.perf_counter() - began


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(
    words: Sequence[str], port: int, *, cwd: Path, log: Path, env: Mapping[str, str] | None = None, wait: bool = True
) -> Iterator[Server]:
    """Run a server until the block ends; by default enter the block when the port takes connections."""
    command = [str(BIN / words[0]), *words[1:]]
    started = time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1", **(env or {})},
            stdout=out,
            stderr=out,
        )
    server = Server(process, port, started)
    try:
        if wait:
            wait_until_open(server)
        yield server
    finally:
        end(server)


def wait_until_open(server: Server) -> None:
    """Wait until the port takes connections."""
    deadline = time.monotonic() + _DEADLINE
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            return
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.process.args!r} did not start")
        time.sleep(0.005)


def end(server: Server) -> None:
    """End the server: politely, then not."""
    tree = server.tree()
    with suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGTERM)
    _gone, alive = psutil.wait_procs(tree, timeout=10)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.process.wait(30)
