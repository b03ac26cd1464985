"""What clients on keep-alive connections lose while workers are reloaded and killed."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import HOTPLATE
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row
from benchmarks.status import status

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
    progress(f"kill {number + 1}/{_TIMES}")
    before = status(ROOT)
    victim = before.workers[number % len(before.workers)]
    held = _connections(victim.pid, server.port)
    os.kill(victim.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        now = {worker.slot: worker for worker in status(ROOT).workers if worker.state == "ready"}
        if victim.slot in now and now[victim.slot].pid != victim.pid:
            return held
        if time.monotonic() > deadline:
            raise RuntimeError("the worker was not replaced")


def _connections(pid: int, port: int) -> int:
    import psutil  # only here

    return sum(c.laddr.port == port and c.status == "ESTABLISHED" for c in psutil.Process(pid).net_connections("tcp"))
