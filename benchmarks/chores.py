"""Running the chores of benchmarks/apps/chores.py: in a folder of their own, with the broker and workers asked for."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.processes import BIN, ROOT, Server, running

HOTPLATE_APP, CELERY_APP = "benchmarks.apps.chores_hotplate", "benchmarks.apps.chores_celery"
_PATIENCE = 60.0


class Way(NamedTuple):
    """A way to run tasks.

    Args:
        name: as the table shows it.
        hotplate: whether Hotplate runs them, or Celery by itself, each as its documentation says.
        url: of the broker, in which {folder} and {redis} are filled in; "" for the embedded one.
        workers: processes that run tasks.
    """

    name: str
    hotplate: bool
    url: str = ""
    workers: int = 2

    @property
    def module(self) -> str:
        """Where its Celery app is."""
        return HOTPLATE_APP if self.hotplate else CELERY_APP

    @property
    def wakes(self) -> bool:
        """Whether its workers are woken by a message, instead of looking for one once a second."""
        return self.hotplate or self.url == "{redis}"

    def words(self) -> list[str]:
        """Return the command for its workers."""
        if self.hotplate:
            return ["hotplate", "tasks", "run", f"{HOTPLATE_APP}:app", "--task-workers", str(self.workers)]
        return ["celery", "-A", CELERY_APP, "worker", "--concurrency", str(self.workers)]


class Place:
    """A folder with a broker, where chores are sent from and run.

    Args:
        folder: existing and ours.
        way: how they are run.
        redis: address of a Redis that may be emptied; "" where none is needed.
    """

    def __init__(self, folder: Path, way: Way, redis: str = "") -> None:
        self.folder = folder
        self.way = way
        self.log = folder / "log"
        self.log.touch()
        (folder / "messages").mkdir(exist_ok=True)
        self.env = {
            "CHORES_LOG": str(self.log),
            "PYTHONPATH": str(ROOT),
            "HOTPLATE_TASKS_DIR": str(folder / "tasks"),
            "REDIS_URL": "",
        }
        if way.url:
            url = way.url.format(folder=folder, redis=redis)
            self.env |= {"CHORES_BROKER": url, "CELERY_BROKER_URL": url if way.hotplate else ""}
        if way.url.startswith("filesystem"):
            self.env["CHORES_FOLDER"] = str(folder / "messages")

    def send(self, count: int, task: str, *arguments: str, in_turn: int = 0, seconds: float = 0) -> float:
        """Send a task so many times, and once before to connect; return how many a second.

        Args:
            count: how often.
            task: which.
            *arguments: of the task.
            in_turn: send one when one is done, so that there are so many at a time; 0 sends them all at once.
            seconds: after which no more are sent in turn.
        """
        words = [str(BIN / "python"), "-m", "benchmarks.chores_sent", self.way.module, task, *arguments]
        words += ["--count", str(count), "--in-turn", str(in_turn), "--seconds", str(seconds)]
        done = subprocess.run(
            words, cwd=self.folder, env={**os.environ, **self.env}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.way.name}: {done.stderr}")
        return float(done.stdout.splitlines()[-1])

    @contextmanager
    def workers(self) -> Iterator[Server]:
        """Run its workers until the block ends."""
        said = self.folder / "workers.log"
        with running(self.way.words(), 0, cwd=self.folder, log=said, env=self.env, wait=False) as server:
            yield server

    def lines(self) -> list[str]:
        """Return what the chores have written so far."""
        return self.log.read_text().splitlines()

    def bytes(self) -> int:
        """Return how much they have written so far."""
        return self.log.stat().st_size


def task_processes(server: Server) -> list[psutil.Process]:
    """Return the processes that run tasks for Hotplate, by what ps(1) shows of them."""
    return [process for process in server.tree() if title(process).startswith("hotplate: task ")]


def title(process: psutil.Process) -> str:
    """Return what ps(1) shows of a process; "" if it has gone."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def until(condition: Callable[[], object], server: Server | None = None, patience: float = _PATIENCE) -> bool:
    """Wait until something is true; return whether it became so within `patience` seconds.

    Raises:
        RuntimeError: the server ended meanwhile.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if server is not None and server.process.poll() is not None:
            raise RuntimeError(f"{server.process.args!r} ended")
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
