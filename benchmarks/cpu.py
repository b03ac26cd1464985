"""What a request costs in CPU time: less at the mercy of what else the machine does than requests per second."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.processes import Server
from benchmarks.wrk import Load, wrk


class Cost(NamedTuple):
    """A load and the CPU time that the server's processes took for each request, in microseconds."""

    load: Load
    micros: float


def measured(server: Server, path: str, *, connections: int = 64, seconds: int = 2, script: Path | None = None) -> Cost:
    """Warm up for a second, then measure."""
    server.get(path)
    wrk(server.port, path, connections=connections, seconds=1, script=script)
    before = spent(server)
    load = wrk(server.port, path, connections=connections, seconds=seconds, script=script)
    if load.bad or load.broken:
        raise RuntimeError(f"{path}: {load}")
    return Cost(load, 1e6 * (spent(server) - before) / max(1, load.requests))


def spent(server: Server) -> float:
    """Return the CPU seconds that the server's processes have taken so far."""
    total = 0.0
    for process in server.tree():
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total
