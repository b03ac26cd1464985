"""Task workers as the supervisor runs them, on brokers of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from hotplate.tasks.app import Application
from tests.support.brokers import Broker, embedded_broker, rabbitmq_broker, redis_broker
from tests.support.servers import server_folder
from tests.support.waiting import DEADLINE, wait_until

EACH = [
    "embedded",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]


@dataclass
class Serving:
    """A task worker under test.

    Args:
        process: the one that imported the app and forked the worker.
        folder: where it writes.
        name: of its files.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    name: str
    status: int | None = field(default=None)

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.folder / f"{self.name}.log").read_text()

    def said(self, kind: str) -> list[Any]:
        """Return what it said of a kind."""
        lines = (self.folder / f"{self.name}.said").read_bytes().splitlines(keepends=True)
        said = [json.loads(line) for line in lines if line.endswith(b"}\n")]
        return [line[kind] for line in said if kind in line]

    def ready(self) -> list[int]:
        """Wait until its pool is forked; returns the ids of its processes."""
        wait_until(lambda: self.said("ready") or self._ended(), what=f"{self.name} is ready")
        ready: list[int] = self.said("ready")[0]
        return ready

    def connected(self) -> Serving:
        """Wait until it has its broker."""
        self.counts(broker="connected")
        return self

    @property
    def pid(self) -> int:
        """Id of the worker's main process."""
        self.ready()
        return int(self.said("pid")[0])

    def counts(self, **wanted: object) -> dict[str, Any]:
        """Wait until the newest counts are as wanted; returns them."""

        def newest() -> dict[str, Any] | None:
            counts: list[dict[str, Any]] = self.said("counts")
            self._ended()
            fits = counts and all(counts[-1][name] == value for name, value in wanted.items())
            return counts[-1] if fits else None

        return wait_until(newest, what=f"{self.name} counts {wanted}") or {}

    def send(self, number: signal.Signals) -> None:
        """Send the main process a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until it has ended; returns its status."""
        self.status = self.process.wait(DEADLINE)
        return self.status

    def stop(self) -> int:
        """Have it finish, and wait for that."""
        self.send(signal.SIGTERM)
        return self.wait()

    def _ended(self) -> bool:
        if self.process.poll() is not None and self.status is None:
            message = f"{self.name} ended with {self.process.returncode}:\n{self.log}"
            raise AssertionError(message)
        return False


Serve = Callable[..., Serving]


@pytest.fixture(params=EACH)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Each broker in turn, or the one that a test names by `@only(...)`."""
    with ExitStack() as running:
        match request.param:
            case "embedded":
                yield embedded_broker(tmp_path)
            case "redis":
                yield running.enter_context(redis_broker(running.enter_context(server_folder("broker"))))
            case _:
                server = request.getfixturevalue("rabbitmq_service")
                yield running.enter_context(rabbitmq_broker(server, tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where tasks note what they did."""
    made = tmp_path / "chores"
    made.mkdir()
    return made


@pytest.fixture
def environ(broker: Broker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the worker and the test where the broker is."""
    for name, value in {**broker.environ, "CHORES": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client(environ: None, broker: Broker) -> Iterator[Application]:
    """An app that sends tasks and reads results."""
    app = Application("chores", broker=broker.url, backend=broker.results)
    yield app
    with suppress(Exception):  # its broker may have been stopped by the test
        app.close()


@pytest.fixture
def serve(environ: None, tmp_path: Path) -> Iterator[Serve]:
    """Starts a worker; as often as wanted, each ends with the test."""
    started: list[Serving] = []

    def start(
        module: str = "tests.tasks.worker.chores", variables: dict[str, str] | None = None, **plan: object
    ) -> Serving:
        name = f"worker{len(started) + 1}"
        plan = {"name": f"hotplate-test-{len(started) + 1}@here", **plan}
        command = [sys.executable, "-m", "tests.tasks.worker.serving", module, json.dumps(plan)]
        with (tmp_path / f"{name}.said").open("wb") as said, (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=said, stderr=log, env={**os.environ, **(variables or {})})
        started.append(Serving(process, tmp_path, name))
        return started[-1]

    yield start
    for worker in started:
        _end(worker)


def _end(worker: Serving) -> None:
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(worker.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    worker.process.kill()
    worker.process.wait(DEADLINE)
