"""The real command in a folder of its own: started as a user would, asked, killed, and looked at afterwards.

with instance(tmp_path, HELLO) as site:
site.kill(site.worker(0))
site.until_healthy()
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.gateway_process import ROOT, Answer, ask
from tests.support.waiting import free_port, wait_until

HELLO = """
import os, threading, time
from flask import Flask

VERSION = "1"
app = Flask(__name__)

@app.get("/")
def hello():
    return VERSION

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/hold")
def hold():
    while os.path.exists("hold"):
        time.sleep(0.01)
    return VERSION
"""


class Instance:
    """A running `hotplate run`; its log is `log` in its folder."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.folder = folder
        self.process = process
        self.port = port
        self._log = folder.resolve() / "log"  # the same file whatever a link in its path leads to later

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def command(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run another `hotplate` command in the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "hotplate", *words],
            cwd=self.folder,
            env=environment({"PWD": str(self.folder)}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """What `hotplate status --json` says; {} while there is nobody to ask."""
        answer = self.command("status", "--json")
        try:
            status: dict[str, Any] = json.loads(answer.stdout)
        except ValueError:
            return {}
        return status

    def workers(self) -> dict[int, int]:
        """The pids of the workers that serve, by slot."""
        return {worker["slot"]: worker["pid"] for worker in self.status()["workers"] if worker["state"] == "ready"}

    def until_healthy(self) -> None:
        """Wait until every worker is warm and serving."""
        wait_until(lambda: self.ended() or self.status().get("healthy"), what=f"healthy; its log: {self.folder}/log")
        assert not self.ended(), self.log

    def until_logged(self, text: str) -> None:
        """Wait until it has printed `text`."""
        wait_until(lambda: text in self.log, what=f"{text!r} in {self.folder}/log")

    def ended(self) -> bool:
        """Whether the master has gone."""
        return self.process.poll() is not None

    def connect(self) -> http.client.HTTPConnection:
        """Return a keep-alive connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str = "/") -> Answer:
        """GET `path` on a new connection."""
        connection = self.connect()
        try:
            return ask(connection, path)
        finally:
            connection.close()

    @contextmanager
    def held(self) -> Iterator[list[bytes]]:
        """Have a request to /hold in flight, let go when the block ends; gives its answer, once there is one."""
        (self.folder / "hold").touch()
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.append(self.get("/hold").body))
        asking.start()
        wait_until(lambda: self.status()["totals"]["in_flight"] == 1, what="the request is in flight")
        try:
            yield answers
        finally:
            (self.folder / "hold").unlink()
            asking.join(60)

    def tree(self) -> list[psutil.Process]:
        """All its processes."""
        with suppress(psutil.NoSuchProcess):
            master = psutil.Process(self.process.pid)
            return [master, *master.children(recursive=True)]
        return []


class Load:
    """Keep-alive clients that ask without pause, each request once."""

    def __init__(self, site: Instance, clients: int = 4, path: str = "/") -> None:
        self.answers: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self._site = site
        self._path = path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: sum(self.answers.values()) > 20 or self.failures, what="the load is on")
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def more(self, count: int = 50) -> None:
        """Wait until `count` more answers have come."""
        so_far = sum(self.answers.values())
        wait_until(lambda: sum(self.answers.values()) > so_far + count, what="the load goes on")

    def _ask(self) -> None:
        connection = self._site.connect()
        while not self._stop.is_set():
            try:
                answer = ask(connection, self._path)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.failures.append(repr(error))
            else:
                if answer.status == 200:
                    self.answers[answer.body] += 1
                else:
                    self.failures.append(f"status {answer.status}")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without settings of whoever runs the tests, and with our source first."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOTPLATE_", "FLASK_"))}
    for name in ("PORT", "WEB_CONCURRENCY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
        clean.pop(name, None)
    return {**clean, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(extra or {})}


@contextmanager
def instance(
    folder: Path,
    source: str = HELLO,
    *flags: str,
    target: str = "app:app",
    env: Mapping[str, str] | None = None,
    bind: str | None = None,
    wait: bool = True,
) -> Iterator[Instance]:
    """Write `source` to app.py in `folder`, serve it on a free loopback port, and end it with the block."""
    if source:
        (folder / "app.py").write_text(source)
    port = free_port()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hotplate", "run", target, "--bind", bind or f"127.0.0.1:{port}", *flags],
            cwd=folder,
            env=environment({"PWD": str(folder), **(env or {})}),
            stdout=log,
            stderr=log,
        )
    site = Instance(folder, process, port)
    try:
        if wait:
            site.until_healthy()
        yield site
    finally:
        _end(site)


def _end(site: Instance) -> None:
    processes = site.tree()
    if not site.ended():
        site.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            site.process.wait(5)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    site.process.wait()
