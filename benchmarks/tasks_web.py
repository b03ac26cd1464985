"""What the pages of a web app take while tasks compute on the same cores."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import newsdesk
from benchmarks.chores import task_processes, until
from benchmarks.peers import HOTPLATE
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning
from benchmarks.status import status
from benchmarks.wrk import Load, wrk

Progress = Callable[[str], None]
_PAGE = "/articles/42"
_WORKERS = ("--workers", "2", "--task-workers", "2")
# Visitors who look at a page before they ask for the next: 16 at 20 ms take half of two cores.
_VISITORS = "function delay() return math.random(10, 30) end\n"
SECONDS = 4  # of load


class Beside(NamedTuple):
    """A load on the web, and the share of the cores that tasks took meanwhile, in per cent of one."""

    load: Load
    tasks: float


class Manner(NamedTuple):
    """How pages are asked for: connections, and whether they pause between two requests."""

    name: str
    connections: int
    pause: bool


MANNERS = (Manner("visitors who pause", 16, pause=True), Manner("without a pause", 16, pause=False))


def web(rounds: int, progress: Progress) -> Result:
    """Latency of newsdesk's article page with idle and with computing tasks, on the same server, in turn."""
    cwd, env = newsdesk.place()
    found: dict[str, list[Beside]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        env = {**env, "PYTHONPATH": f"{env['PYTHONPATH']}:{ROOT}", "CHORES_LOG": str(folder / "chores")}
        port = free_port()
        words = [*HOTPLATE.words("benchmarks.apps.newsdesk_chores:app", port), *_WORKERS, "--cache", "off"]
        script = folder / "visitors.lua"
        script.write_text(_VISITORS)
        with running(words, port, cwd=cwd, log=folder / "log", env=env) as server:
            until(lambda: status(cwd).healthy and len(task_processes(server)) == 2, server)
            wrk(port, _PAGE, connections=16, seconds=2)
            for number, state in turning(["idle", "computing"], rounds):
                progress(f"tasks-web {number + 1}/{rounds} {state}")
                computing = Computing(folder, env, cwd) if state == "computing" else None
                for manner in MANNERS:
                    measured = _beside(server, manner, script if manner.pause else None)
                    found.setdefault(f"{manner.name}, tasks {state}", []).append(measured)
                if computing is not None:
                    computing.end()
    rows = [
        Row(
            name,
            f"p50 {Spread.of([b.load.p50 for b in of])} ms, p99 {Spread.of([b.load.p99 for b in of])} ms, "
            f"{Spread.of([b.load.rate for b in of])} requests/s; tasks: {Spread.of([b.tasks for b in of])} % of a core",
        )
        for name, of in found.items()
    ]
    for manner in MANNERS:
        idle, computing_ = (found[f"{manner.name}, tasks {state}"] for state in ("idle", "computing"))
        for percent, bar in (("p99", 1.5), ("p50", None)):
            pairs = zip(computing_, idle, strict=True)
            ratio = Spread.of([getattr(a.load, percent) / getattr(b.load, percent) for a, b in pairs])
            holds = ratio.median <= bar if bar else None
            rows.append(
                Row(f"{manner.name}: {percent}, computing / idle", f"{ratio} x", f"<= {bar} x" if bar else "", holds)
            )
    raw = {name: [beside.load._asdict() | {"tasks": beside.tasks} for beside in of] for name, of in found.items()}
    return Result(
        "tasks-web", "newsdesk article page, uncached, while two tasks compute on the same two cores", tuple(rows), raw
    )


class Computing:
    """Two tasks that compute until they are told to end."""

    def __init__(self, folder: Path, env: dict[str, str], cwd: Path) -> None:
        self._log, self._there = folder / "chores", folder / "there"
        self._log.write_text("")
        self._there.touch()
        words = [str(BIN / "python"), "-m", "benchmarks.chores_sent", "benchmarks.apps.newsdesk_chores", "compute"]
        words += [str(self._there), "--count", "1"]  # and one before
        subprocess.run(words, cwd=cwd, env={**os.environ, **env}, check=True, capture_output=True)
        if not until(lambda: self._log.stat().st_size == 2):
            raise RuntimeError("the tasks did not begin")

    def end(self) -> None:
        """Have them end, and wait a moment, as they look for it between two computations."""
        self._there.unlink()
        time.sleep(0.5)


def _beside(server: Server, manner: Manner, script: Path | None) -> Beside:
    began, before = time.perf_counter(), _seconds(server)
    load = wrk(server.port, _PAGE, connections=manner.connections, seconds=SECONDS, script=script)
    if load.bad or load.broken:
        raise RuntimeError(f"{_PAGE}: {load}")
    return Beside(load, 100 * (_seconds(server) - before) / (time.perf_counter() - began))


def _seconds(server: Server) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in task_processes(server)))
