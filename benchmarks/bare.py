"""The bare data plane: Granian embedded as Hotplate embeds it, one pool thread, and the shortest bridge to WSGI.

No layers, no checks, no supervision; what it lacks is what the overhead of the pipeline pays for.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

from hotplate.gateway.dataplane import DataPlane
from hotplate.gateway.drive import Driver
from hotplate.gateway.executor import Pool
from hotplate.gateway.types import Receive, Scope, Send
from hotplate.settings import Settings

_keys: dict[bytes, str] = {}


def _environ(scope: Scope) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"],
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": scope["server"][1],
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = _keys.get(name) or _keys.setdefault(name, "HTTP_" + name.decode().upper().replace("-", "_"))
        environ[key] = value.decode("latin-1")
    return environ


async def _serve(app: Any, listener: socket.socket) -> None:  # noqa: ANN401  # any WSGI app
    settings = Settings(threads=1)
    driver = Driver(asyncio.get_running_loop(), Pool(settings))

    async def bridge(scope: Scope, _receive: Receive, send: Send) -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def call() -> bytes:
            result = app(_environ(scope), lambda status, headers, _info=None: started.append((status, headers)))
            try:
                return b"".join(result)
            finally:
                getattr(result, "close", bool)()

        body = await driver.call(call)
        status, headers = started[0]
        fields = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": fields})
        await send({"type": "http.response.body", "body": body})

    DataPlane(bridge, driver, settings, lambda _scope, _error: None).serve([listener])
    await asyncio.get_running_loop().create_future()


def forked(port: int, workers: int) -> socket.socket:
    """Fork until there are `workers` processes, and return a listener of this one's own."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    listeners = []
    for _ in range(workers):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(2048)
        listeners.append(sock)
    for listener in listeners[1:]:
        if os.fork() == 0:
            return listener
    return listeners[0]


def main(target: str, port: int, workers: int) -> None:
    """Serve `target` with `workers` forked processes."""
    module, _, attribute = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    app = getattr(importlib.import_module(module), attribute)
    uvloop.run(_serve(app, forked(port, workers)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), 2)
