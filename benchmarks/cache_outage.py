"""What requests wait for a Redis that stops, freezes and comes back: each request's time, as one client sees it."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers import HOTPLATE
from benchmarks.processes import ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread

_SECONDS = 2.0
_BAR = 20.0  # milliseconds


class Client:
    """Asks, one request after the other, for a page that is kept and for pages never asked for before."""

    def __init__(self, port: int) -> None:
        self.failed = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._numbers = itertools.count()

    def ask(self, seconds: float) -> list[float]:
        """Ask for so long; return the milliseconds of each request."""
        times = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            number = next(self._numbers)
            began = time.perf_counter()
            try:
                self._connection.request("GET", f"/page/{number if number % 2 else 0}")
                response = self._connection.getresponse()
                response.read()
                self.failed += response.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._connection.close()
            times.append(1000 * (time.perf_counter() - began))
        return times


def outage(rounds: int, progress: Callable[[str], None]) -> Result:
    """Stop, kill and freeze Redis under requests, and bring it back, once a round."""
    added: dict[str, list[float]] = {}
    failed = 0
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder, port, redis_port = Path(made), free_port(), free_port()
        env = {"PYTHONPATH": str(ROOT), "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}
        words = [*HOTPLATE.words("benchmarks.apps.pages:app", port), "--workers", "2"]
        redis = stack.enter_context(ExitStack())
        server = redis.enter_context(_redis(redis_port, folder))
        stack.enter_context(running(words, port, cwd=ROOT, log=folder / "log", env=env))
        client = Client(port)
        for number in range(rounds):
            for name, break_it in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL), ("frozen", signal.SIGSTOP)):
                progress(f"outage {number + 1}/{rounds} {name}")
                client.ask(_SECONDS / 2)
                usual = client.ask(_SECONDS)
                os.kill(server.process.pid, break_it)
                first, known = client.ask(_SECONDS / 2), client.ask(_SECONDS)
                for when, times in (("first second", first), ("then", known)):
                    most = max(times) - max(usual)
                    added.setdefault(f"{name}, {when}: slowest over the slowest before", []).append(most)
                    typical = statistics.median(times) - statistics.median(usual)
                    added.setdefault(f"{name}, {when}: median over the median before", []).append(typical)
                if break_it is signal.SIGSTOP:
                    os.kill(server.process.pid, signal.SIGCONT)
                else:
                    redis.pop_all().close()
                    server = redis.enter_context(_redis(redis_port, folder))
                client.ask(_SECONDS)
        failed = client.failed
        stack.push(redis.pop_all())
    rows = []
    for what, of in added.items():
        spread = Spread.of(of)
        is_asked = "median" in what or "first" in what
        rows.append(
            Row(
                what, f"{spread} ms", f"<= {_BAR:g} ms" if is_asked else "", spread.median <= _BAR if is_asked else None
            )
        )
    rows.append(Row("requests that failed", str(failed), "0", failed == 0))
    return Result("outage", "Latency added while Redis is away", tuple(rows), added)


@contextmanager
def _redis(port: int, folder: Path) -> Iterator[Server]:
    words = ["/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with running(words, port, cwd=folder, log=folder / "redis.log") as server:
        yield server
