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
from benchmarks.peers import HOTPLATE, PEERS, UNCACHED, Peer
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning
from benchmarks.status import status

Progress = Callable[[str], None]
OURS = (HOTPLATE, UNCACHED)
_PATH = "/"
_STEADY = 60
# A request that comes after a pause finds colder caches than one that follows another at once: on a shared machine it
# took 1.8 times as long, on an app that had served for minutes. So first and steady ones come after the same pause.
_PAUSE = 0.05


def first_requests(rounds: int, progress: Progress) -> Result:
    """The first request over the steady median, with the dev server and gunicorn beside us."""
    # With the cache, the first page is made and the steady ones are hits; without it, like is compared with like.
    beside = [peer for peer in PEERS if peer.name in {"gunicorn -w 4", "flask run"}]
    shown = {peer.name: peer for peer in (*OURS, *beside)}
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
    return Result("first", "First request for newsdesk's front page over the steady median", tuple(rows), after)


def _firsts(peer: Peer, log: Path) -> dict[str, float]:
    port = free_port()
    cwd, env = newsdesk.place()
    # One worker and one client, so that the worker that is new is the one that answers.
    words = peer.words("newsdesk.app:app", port)
    if peer in OURS:
        words += ["--workers", "1"]
    with running(words, port, cwd=cwd, log=log, env=env) as server:
        if peer in OURS:
            _until(lambda: status(cwd).healthy, server)
        firsts = {"start": _asked(server)}
        steady = statistics.median(_asked(server) for _ in range(_STEADY))
        if peer in OURS:
            subprocess.run([BIN / "hotplate", "reload"], cwd=cwd, check=True, capture_output=True)
            firsts["reload"] = _asked(server)
            kill_worker(server, cwd)
            firsts["a worker's death"] = _asked(server)
        elif peer.name.startswith("gunicorn"):
            server.process.send_signal(signal.SIGHUP)
            _wait_for_new_children(server)
            firsts["reload"] = _asked(server)
    return {event: seconds / steady for event, seconds in firsts.items()}


def _asked(server: Server) -> float:
    time.sleep(_PAUSE)
    return server.get(_PATH)


def kill_worker(server: Server, cwd: Path, slot: int = 0) -> float:
    """Kill the worker of a slot; return the seconds until its replacement was seen to be ready."""
    _until(lambda: status(cwd).healthy, server)  # a worker killed before the start is over ends the start
    victim = next(worker.pid for worker in status(cwd).workers if worker.slot == slot)
    os.kill(victim, signal.SIGKILL)
    began = time.perf_counter()

    def replaced() -> bool:
        ready = {worker.slot: worker.pid for worker in status(cwd).workers if worker.state == "ready"}
        return ready.get(slot, victim) != victim

    _until(replaced, server)
    return time.perf_counter() - began


def _until(condition: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("waited in vain for hotplate")
        time.sleep(0.001)


def _wait_for_new_children(server: Server) -> None:
    old = {process.pid for process in server.tree()[1:]}
    _until(lambda: not old & {process.pid for process in server.tree()[1:]}, server)


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
                    seconds.setdefault(name, []).append(1000 * kill_worker(server, where))
    rows = [
        Row(f"{name}: killed to ready", f"{Spread.of(of)} ms", "<= 100 ms", Spread.of(of).median <= 100)
        for name, of in seconds.items()
    ]
    return Result("restart", "Restart of a killed worker, preloaded", tuple(rows), seconds)
