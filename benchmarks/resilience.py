"""What clients on keep-alive connections lose while workers are reloaded and killed."""

from __future__ import annotations

import http.client
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.peers import HOTPLATE
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row
from benchmarks.status import status
from benchmarks.warmth import kill_worker

_CLIENTS = 16
_TIMES = 50


class Clients:
    """Keep-alive clients in threads; each request is asked once, on a connection that may have been closed properly."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                body = response.read()
                outcome = "" if response.status == 200 and body == b"Hello, World!" else f"status {response.status}"
            except (OSError, http.client.HTTPException) as error:
                outcome = repr(error)
                connection.close()
            with self._lock:
                self.answered += not outcome
                if outcome:
                    self.failed.append(outcome)

    def stop(self) -> None:
        """End the clients."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def losses(_rounds: int, progress: Callable[[str], None]) -> Result:
    """50 reloads, then 50 kills of a worker, under load."""
    port = free_port()
    words = [*HOTPLATE.words("benchmarks.apps.hello:app", port), "--workers", "2"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(words, port, cwd=ROOT, log=Path(folder) / "log", env={"PYTHONPATH": str(ROOT)}) as server,
    ):
        reloads = Clients(port)
        for number in range(_TIMES):
            progress(f"reload {number + 1}/{_TIMES}")
            subprocess.run([BIN / "hotplate", "reload"], cwd=ROOT, check=True, capture_output=True)
        reloads.stop()
        kills = Clients(port)
        lost_at_most = sum(_kill_one(number, server, progress) for number in range(_TIMES))
        kills.stop()
    rows = (
        Row(
            f"{_TIMES} reloads, {reloads.answered:,} requests",
            f"{len(reloads.failed)} failed",
            "0",
            not reloads.failed and reloads.answered > 0,
        ),
        Row(
            f"{_TIMES} kill -9, {kills.answered:,} requests",
            f"{len(kills.failed)} failed",
            f"<= {lost_at_most} (connections of the killed workers)",
            len(kills.failed) <= lost_at_most and kills.answered > 0,
        ),
    )
    return Result(
        "losses", "Requests lost under keep-alive load", rows, {"reloads": reloads.failed, "kills": kills.failed}
    )


def _kill_one(number: int, server: Server, progress: Callable[[str], None]) -> int:
    """Kill a worker, alternately of either slot, and return how many connections it held."""
    progress(f"kill {number + 1}/{_TIMES}")
    slot = number % 2
    pid = next(worker.pid for worker in status(ROOT).workers if worker.slot == slot)
    held = _connections(pid, server.port)
    kill_worker(server, ROOT, slot)
    return held


def _connections(pid: int, port: int) -> int:
    found = psutil.Process(pid).net_connections("tcp")
    return sum(bool(c.laddr) and c.laddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in found)
