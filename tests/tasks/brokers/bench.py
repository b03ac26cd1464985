"""A broker with workers and producers on it, to be ended in any way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from hotplate.tasks.app import Application
from hotplate.tasks.untyped import Result
from hotplate.tasks.worker.parking import PARKED
from tests.support.brokers import Broker
from tests.support.waiting import wait_until
from tests.tasks.brokers.judging import CONCURRENCY
from tests.tasks.brokers.work import Line, journal, note

MODULE = "tests.tasks.brokers.work"


class Bench:
    """What a test works at.

    Args:
        broker: whose contract is tested.
        folder: for the journal.
        forge: makes workers and producers.
        client: sends tasks, and reads results.
    """

    def __init__(
        self, broker: Broker, folder: Path, forge: subprocess.Popen[str], client: Callable[[], Application]
    ) -> None:
        self.broker = broker
        self.folder = folder
        self._forge = forge
        self._client = client
        self.client = client()
        self._workers: list[int] = []
        self._started = 0

    def worker(self) -> int:
        """Return the process id of the worker that is connected, starting one if there is none."""
        self._workers = [pid for pid in self._workers if runs(pid)]
        return self._workers[0] if self._workers else self.another_worker()

    def another_worker(self) -> int:
        """Start a worker and wait until it is connected."""
        self._started += 1
        plan = {"name": f"hotplate-test-{self._started}@here", "concurrency": CONCURRENCY}
        pid = self._ask({"serve": plan})
        self._workers.append(pid)
        wait_until((self.folder / f"{pid}.connected").exists, what=f"worker {pid} is connected")
        return pid

    def send(self, task: str, which: str) -> Result:
        """Send a task of a name from the test's own process."""
        return self.client.send_task(f"{MODULE}.{task}", (which,))

    def parked(self) -> int:
        """Return how many messages are parked."""
        with self.client.connection_for_read() as connection:
            try:
                return int(connection.default_channel.queue_declare(PARKED, passive=True).message_count)
            except connection.channel_errors:  # nothing ever was
                return 0

    def producer(self, names: Collection[str], seconds: float = 0.0) -> int:
        """Start a process that sends a task `do` per name; returns its id."""
        return self._ask({"send": list(names), "seconds": seconds})

    def kill(self, pid: int, main: int | None = None) -> None:
        """End a process as the kernel does when memory is short, and note it in the journal.

        Args:
            pid: of the process.
            main: of the worker that it belongs to, if it is no worker's main process itself.
        """
        # What begins in the worker until this process is known to be gone says nothing about what it had taken.
        note("killing", pid, main or pid, folder=self.folder)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not runs(pid), what=f"{pid} is gone")
        note("killed", pid, main or pid, folder=self.folder)

    def children(self, main: int) -> list[int]:
        """Return the processes of a worker that run tasks."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(main).children()]
        return []

    def lines(self) -> list[Line]:
        """Return the journal so far."""
        return list(journal(self.folder))

    def seen(self, what: str, which: str) -> int:
        """Return how often something happened to a task."""
        return self.lines_of(what)[which]

    def lines_of(self, what: str) -> Counter[str]:
        """Return how often something happened to each task."""
        return Counter(line.which for line in self.lines() if line.what == what)

    def wait(self, what: str, names: Collection[str]) -> None:
        """Wait until something has happened to all these tasks."""
        wanted = set(names)

        def missing() -> set[str]:
            return wanted - self.lines_of(what).keys()

        try:
            wait_until(lambda: not missing(), what=f"all are {what}")
        except AssertionError as error:
            log = (self.folder / "forge.log").read_text()[-4000:]
            message = f"{error}; missing: {sorted(missing())[:20]}\n{log}\n{self.broker.log_tail()[-2000:]}"
            raise AssertionError(message) from error

    def open(self, which: str) -> None:
        """Let a held task go on."""
        (self.folder / which).touch()

    def renew(self) -> None:
        """Forget the connections of the test's own process."""
        with suppress(Exception):  # they may be broken, which is why
            self.client.close()
        self.client = self._client()

    def _ask(self, order: dict[str, object]) -> int:
        assert self._forge.stdin is not None
        assert self._forge.stdout is not None
        self._forge.stdin.write(json.dumps(order) + "\n")
        self._forge.stdin.flush()
        return int(self._forge.stdout.readline())


def fresh(count: int) -> list[str]:
    """Return names that no task has."""
    start = uuid4().hex[:8]
    return [f"{start}-{number}" for number in range(count)]


def runs(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def bench(broker: Broker, folder: Path) -> Iterator[Bench]:
    """Set up a bench on a broker.

    Args:
        broker: any.
        folder: for what is written down.
    """
    environ = {**os.environ, **broker.environ, "WORK": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}

    def client() -> Application:
        app = Application("work", broker=broker.url, backend=broker.results)
        app.conf.task_queue_max_priority = 9
        return app

    with (folder / "forge.log").open("wb") as log:
        forge = subprocess.Popen(
            [sys.executable, "-m", "tests.tasks.brokers.forge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environ,
        )
    set_up = Bench(broker, folder, forge, client)
    try:
        yield set_up
    finally:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(forge.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        forge.kill()
        forge.communicate()
        set_up.renew()
