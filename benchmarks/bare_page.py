"""The bare data plane answering one page out of memory, on its own thread: no app, no cache, no layers."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.bare import forked
from hotplate.gateway.dataplane import DataPlane
from hotplate.gateway.drive import Driver
from hotplate.gateway.executor import Pool
from hotplate.gateway.types import Receive, Scope, Send
from hotplate.settings import Settings


async def _serve(kept: dict[str, Any], listener: socket.socket) -> None:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["fields"]]
    body = kept["body"].encode("latin-1")
    settings = Settings(threads=1)
    driver = Driver(asyncio.get_running_loop(), Pool(settings))

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": kept["status"], "headers": fields})
        await send({"type": "http.response.body", "body": body})

    DataPlane(answer, driver, settings, lambda _scope, _error: None).serve([listener])
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(_serve(json.loads(Path(sys.argv[1]).read_text()), forked(int(sys.argv[2]), 2)))
