"""Beats as real processes, on each broker in turn, and the ticks they sent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

import hotplate
from tests.support.brokers import Broker, embedded_broker, rabbitmq_broker, redis_broker
from tests.support.servers import server_folder
from tests.support.waiting import wait_until
from tests.tasks.beat import beating

EACH = [
    "embedded",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]
SERVERS = EACH[1:]
_SOURCES = Path(hotplate.__file__).parents[1]


class Tick(NamedTuple):
    """A message that a beat sent."""

    id: str
    task: str
    pid: int
    at: float


@dataclass
class Ticks:
    """The ticks that were sent, taken from the queue in their order."""

    app: Celery
    seen: list[Tick] = field(default_factory=list)

    def look(self) -> list[Tick]:
        """Returns all that were sent since the beginning."""
        with self.app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1)
            with connection.SimpleQueue(beating.QUEUE) as queue, suppress(queue.Empty):
                while True:
                    message = queue.get(block=False)
                    said: dict[str, Any] = message.payload[1]
                    self.seen.append(Tick(message.headers["id"], message.headers["task"], said["pid"], said["at"]))
                    message.ack()
        return self.seen

    def of(self, *pids: int) -> list[Tick]:
        """Returns those of some processes."""
        return [tick for tick in self.look() if tick.pid in pids]

    def wait_for(self, many: int, *pids: int) -> list[Tick]:
        """Waits until some processes have sent that many more."""
        goal = len(self.of(*pids)) + many

        def sent() -> list[Tick]:
            found = self.of(*pids)
            return found if len(found) >= goal else []

        return wait_until(sent, what=f"{many} more ticks of {pids}", ignoring=(ConnectionError, OperationalError))


@dataclass
class Beats:
    """Beats of one broker.

    Args:
        broker: theirs.
        ticks: what they sent.
        folder: for their logs.
    """

    broker: Broker
    ticks: Ticks
    folder: Path
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> int:
        """Starts one, waits until it sends or stands by, and returns its process id."""
        log = self.folder / f"beat{len(self.processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, beating.__file__, self.broker.url],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PYTHONPATH": str(_SOURCES), "PATH": ""},
            )
        self.processes[process.pid] = process
        wait_until(lambda: b"ready" in log.read_bytes(), what=f"the beat is ready ({log})")
        return process.pid

    def send(self, pid: int, number: signal.Signals) -> None:
        """Sends a signal to one."""
        self.processes[pid].send_signal(number)

    def end(self, pid: int, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends one, and returns its exit status."""
        self.send(pid, number)
        return self.processes[pid].wait(60)


@contextmanager
def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Broker]:
    """Gives a broker of a kind."""
    with ExitStack() as running:
        if kind == "embedded":
            yield embedded_broker(folder)
        elif kind == "redis":
            yield running.enter_context(redis_broker(running.enter_context(server_folder("beat"))))
        else:
            yield running.enter_context(rabbitmq_broker(request.getfixturevalue("rabbitmq_service"), folder))


@pytest.fixture
def beats_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Beats]]:
    """Gives beats on a broker of the kind asked for; all end with the test."""
    with ExitStack() as running:

        def begin(kind: str) -> Beats:
            broker = running.enter_context(opened(kind, request, tmp_path))
            beats = Beats(broker, Ticks(beating.site(broker.url)), tmp_path)
            running.callback(_kill_all, beats)
            return beats

        yield begin


def _kill_all(beats: Beats) -> None:
    for process in beats.processes.values():
        if process.poll() is None:
            process.kill()
            process.wait(60)
