"""The tasks that all brokers are given: exactly the same code, which notes in one file what it does.

A line is added to the journal in one write, so its lines are in the order in which things happened, whoever was killed
meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hotplate.tasks.app import Application

FOLDER = Path(os.environ.get("WORK", "."))

app = Application("work", backend=os.environ.get("CELERY_RESULT_BACKEND"))
app.conf.task_queue_max_priority = 9  # RabbitMQ has priorities only where a queue says so
# A task whose result cannot be stored, since its Redis is just being restarted, is none that has failed.


class Line(NamedTuple):
    """A line of the journal.

    Args:
        what: happened.
        which: the task's name or number.
        main: process id of the worker, or of whoever did it.
    """

    what: str
    which: str
    main: int


def note(what: str, which: object, main: int | None = None, *, folder: Path = FOLDER) -> None:
    """Add a line to the journal."""
    with (folder / "journal").open("ab", buffering=0) as file:
        file.write(f"{what} {which} {main or os.getppid()}\n".encode())


def journal(folder: Path) -> Iterator[Line]:
    """Read the journal."""
    path = folder / "journal"
    for line in path.read_text().splitlines() if path.exists() else ():
        what, which, main = line.split()
        yield Line(what, which, int(main))


@app.task
def do(which: str, seconds: float = 0.0) -> str:
    """Work for a while."""
    note("began", which)
    if seconds:
        time.sleep(seconds)
    note("done", which)
    return which


@app.task
def hold(which: str) -> str:
    """Work until there is a file of that name."""
    note("began", which)
    while not (FOLDER / which).exists():
        time.sleep(0.01)
    note("done", which)
    return which


@app.task(bind=True, max_retries=3, default_retry_delay=0)
def stumble(self: Any, which: str, times: int) -> int:
    """Fail a few times first."""
    note("began", which)
    if self.request.retries < times:
        raise self.retry(exc=ValueError(which))
    return int(self.request.retries)


@app.task
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


@app.task
def total(numbers: list[int]) -> int:
    """Add many."""
    return sum(numbers)


@app.task(bind=True)
def told(self: Any) -> bool:
    """Say whether this message was delivered before."""
    return bool(self.request.delivery_info["redelivered"])
