"""How warm the first request is: after a start, a reload and the death of a worker."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import newsdesk
from benchmarks.peers import HOTPLATE, PEERS, Peer
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning
from benchmarks.status import status

Progress = Callable[[str], None]
_PATH = "/articles/42"
_STEADY = 200


def first_requests(rounds: int, progress: Progress) -> Result:
    """The first request over the steady median, with the dev server and gunicorn beside us."""
    shown = {peer.name: peer for peer in (HOTPLATE, *PEERS) if peer.name in {"hotplate", "gunicorn -w 4", "flask run"}}
    after: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in turning(list(shown), rounds):
            progress(f"first request {number + 1}/{rounds} {name}")
            for event, ratio in _firsts(shown[name], Path(folder) / f"{name}.log").items():
                after.setdefault(f"{name}, after {event}", []).append(ratio)
    rows = []
    for what, ratios in after.items():
        spread = Spread.of(ratios)
        ours = what.startswith("hotplate")
        rows.append(Row(what, f"{spread} x", "<= 1.5 x" if ours else "", spread.median <= 1.5 if ours else None))
    return Result("first", "First newsdesk request over the steady median", tuple(rows), after)


def _firsts(peer: Peer, log: Path) -> dict[str, float]:
    port = free_port()
    cwd, env = newsdesk.place()
    # One worker and one client, so that the worker that is new is the one that answers.
    words = peer.words("newsdesk.app:app", port)
    if peer is HOTPLATE:
        words += ["--workers", "1"]
    with running(words, port, cwd=cwd, log=log, env=env) as server:
        firsts = {"start": server.get(_PATH)}
        steady = statistics.median(server.get(_PATH) for _ in range(_STEADY))
        if peer is HOTPLATE:
            subprocess.run([BIN / "hotplate", "reload"], cwd=cwd, check=True, capture_output=True)
            firsts["reload"] = server.get(_PATH)
            _kill_worker(server, cwd)
            firsts["a worker's death"] = server.get(_PATH)
        elif peer.name.startswith("gunicorn"):
            server.process.send_signal(signal.SIGHUP)
            _wait_for_new_children(server)
            firsts["reload"] = server.get(_PATH)
    return {event: seconds / steady for event, seconds in firsts.items()}


def _kill_worker(server: Server, cwd: Path) -> None:
    before = status(cwd)
    os.kill(before.workers[0].pid, signal.SIGKILL)
    while (now := status(cwd)).workers[0].pid == before.workers[0].pid or now.workers[0].state != "ready":
        if server.process.poll() is not None:
            raise RuntimeError("hotplate died with its worker")


def _wait_for_new_children(server: Server) -> None:
    old = {process.pid for process in server.tree()[1:]}
    deadline = time.monotonic() + 60
    while old & {process.pid for process in server.tree()[1:]}:
        if time.monotonic() > deadline:
            raise RuntimeError("gunicorn kept its old workers")
        time.sleep(0.05)


def restart(rounds: int, progress: Progress) -> Result:
    """A killed worker's replacement, from the kill until it is ready, preloaded app."""
    seconds: dict[str, list[float]] = {}
    apps = {"hello": ("benchmarks.apps.hello:app", ROOT, {"PYTHONPATH": str(ROOT)})}
    cwd, env = newsdesk.place()
    apps["newsdesk"] = ("newsdesk.app:app", cwd, dict(env))
    with tempfile.TemporaryDirectory() as folder:
        for name, (app, where, env_) in apps.items():
            port = free_port()
            words = [*HOTPLATE.words(app, port), "--workers", "2"]
            with running(words, port, cwd=where, log=Path(folder) / "log", env=env_) as server:
                for number in range(rounds * 2):
                    progress(f"restart {name} {number + 1}/{rounds * 2}")
                    began = time.perf_counter()
                    _kill_worker(server, where)
                    seconds.setdefault(name, []).append(1000 * (time.perf_counter() - began))
    rows = [
        Row(f"{name}: killed to ready", f"{Spread.of(of)} ms", "<= 100 ms", Spread.of(of).median <= 100)
        for name, of in seconds.items()
    ]
    return Result("restart", "Restart of a killed worker, preloaded", tuple(rows), seconds)
