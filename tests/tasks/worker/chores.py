"""Tasks that tests give to a worker: they note in files what they did, which survives any kill."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from hotplate.tasks.app import Application  # isort: skip  (see the report)

from celery.exceptions import Ignore, Reject

FOLDER = Path(os.environ.get("CHORES", "."))
TABLE = bytearray(int(os.environ.get("CHORES_TABLE", "0")) * 2**20)  # stands for a model: loaded once, shared
if TABLE:
    TABLE[:] = b"x" * len(TABLE)

app = Application("chores", backend=os.environ.get("CELERY_RESULT_BACKEND"))
if os.environ.get("CHORES_TRANSPORT"):
    app.conf.broker_transport = os.environ["CHORES_TRANSPORT"]
app.conf.hotplate_unknown_pause = float(os.environ.get("CHORES_PAUSE", "0.05"))
hoard: list[bytearray] = []


def note(name: str, text: str = "") -> None:
    """Add a line to a file, at once and whole."""
    with (FOLDER / name).open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


def notes(folder: Path, name: str) -> list[str]:
    """Return the lines noted so far."""
    try:
        return (folder / name).read_text().splitlines()
    except FileNotFoundError:
        return []


@app.task
def add(one: int, other: int) -> int:
    """Return at once."""
    note("add", f"{one} {other}")
    return one + other


@app.task
def hold(name: str) -> str:
    """Wait until there is a file of that name."""
    note(f"{name}.began")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    note(f"{name}.done")
    return name


@app.task
def die(name: str) -> None:
    """Kill the process that runs it."""
    note(name)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def fail(name: str) -> None:
    """Raise."""
    note(name)
    message = f"no {name} today"
    raise ValueError(message)


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def falter(self: Any, name: str) -> None:
    """Raise, with two retries."""
    note(name, str(self.request.headers))
    raise self.retry(exc=ValueError("still not"))


@app.task
def ignore() -> None:
    """Say that nothing is to be noted."""
    raise Ignore


@app.task
def reject() -> None:
    """Refuse its message."""
    message = "not mine"
    raise Reject(message)


@app.task
def take(megabytes: int) -> int:
    """Take memory and keep it."""
    hoard.append(bytearray(b"y") * (megabytes * 2**20))
    return os.getpid()


@app.task
def speak(text: str) -> None:
    """Print."""
    print(text)  # noqa: T201  what tasks do


@app.task
def look() -> dict[str, Any]:
    """Tell of the process."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "nice": os.nice(0),
        "policy": os.sched_getscheduler(0),
        "title": Path("/proc/self/cmdline").read_text().rstrip("\0"),
    }


if os.environ.get("CHORES_NEW"):

    @app.task(name="chores.invented")
    def invented() -> str:
        """Known only to the newer version."""
        note("invented")
        return "new"
