"""How evenly few keep-alive connections load two workers."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import HOTPLATE
from benchmarks.processes import ROOT, free_port, running
from benchmarks.rounds import Result, Row, Spread
from benchmarks.status import status
from benchmarks.wrk import wrk

_BARS = {4: 0.75, 8: 0.65, 16: 0.6, 64: 0.55}
_STARTS = 10


def shares(_rounds: int, progress: Callable[[str], None]) -> Result:
    """Share of requests of the busiest of two workers, median of ten starts."""
    found: dict[str, list[float]] = {}
    for start in range(_STARTS):
        for connections in _BARS:
            progress(f"balance {start + 1}/{_STARTS}, {connections} connections")
            found.setdefault(str(connections), []).append(_busiest(connections))
    rows = [
        Row(f"{c} connections", str(Spread.of(found[str(c)])), f"<= {bar}", statistics.median(found[str(c)]) <= bar)
        for c, bar in _BARS.items()
    ]
    return Result("balance", "Share of the busiest of two workers", tuple(rows), found)


def _busiest(connections: int) -> float:
    port = free_port()
    words = [*HOTPLATE.words("benchmarks.apps.hello:app", port), "--workers", "2"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(words, port, cwd=ROOT, log=Path(folder) / "log", env={"PYTHONPATH": str(ROOT)}) as server,
    ):
        while len([w for w in status(ROOT).workers if w.state == "ready"]) < 2:
            if server.process.poll() is not None:
                raise RuntimeError("hotplate did not start")
        wrk(port, "/", connections=connections, seconds=2)
        served = _served()
        return max(served) / sum(served)


def _served() -> list[int]:
    # Beats come four times a second: two equal answers in a row are the final count.
    last: list[int] = []
    while True:
        now = [worker.traffic.requests for worker in status(ROOT).workers]
        if now == last and any(now):
            return now
        last = now
