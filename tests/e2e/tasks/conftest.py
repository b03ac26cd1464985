"""A small app with tasks, served by the real command, its broker a file in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.instance import Instance, instance
from tests.support.waiting import wait_until

APP = """
import os, time
from flask import Flask
import hotplate.tasks

VERSION = "1"
app = Flask(__name__)
celery = hotplate.tasks.celery(app)

def note(text):
    with open("notes", "a") as notes:
        notes.write(text + "\\n")

@celery.task
def write(text):
    note(f"{text} {VERSION}")

@celery.task
def hold(text):
    note(f"begun {text}")
    while os.path.exists("hold"):
        time.sleep(0.01)
    note(f"done {text}")

@app.get("/")
def front():
    return VERSION

@app.get("/write/<text>")
def send_write(text):
    write.delay(text)
    return text

@app.get("/hold/<text>")
def send_hold(text):
    hold.delay(text)
    return text
"""
SCHEDULED = (
    APP
    + """
celery.conf.beat_schedule = {"tick": {"task": "app.write", "schedule": 0.5, "args": ("tick",)}}
"""
)


class Shop:
    """A running instance, seen from its tasks."""

    def __init__(self, site: Instance) -> None:
        self.site = site

    def notes(self, beginning: str = "") -> list[str]:
        """Return what tasks have written, or of it what begins so."""
        path = self.site.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def until_noted(self, text: str) -> None:
        """Wait until a task has written a line."""
        wait_until(lambda: text in self.notes(), what=f"{text!r} among {self.notes()}; log: {self.site.log}")

    def crew(self, role: str = "tasks") -> list[dict[str, Any]]:
        """Return the processes of a role, as the status has them."""
        tasks = self.site.status().get("tasks") or {"crew": []}
        return [process for process in tasks["crew"] if process["role"] == role]

    def pid(self, role: str = "tasks") -> int:
        """Return the process number of who has a role now, waiting for it; 0 while there is nobody."""
        ready = [process["pid"] for process in self.crew(role) if process["state"] == "ready"]
        return ready[-1] if ready else 0

    def until_another(self, pid: int, role: str = "tasks") -> int:
        """Wait until somebody else than `pid` has the role; returns who."""
        return wait_until(lambda: (now := self.pid(role)) != pid and now, what=f"another {role} than {pid}")

    def rewrite(self, source: str) -> None:
        """Change the app's code."""
        (self.site.folder / "app.py").write_text(source)


class Runs(Protocol):
    """Starts an instance of an app."""

    def __call__(
        self, source: str = APP, *flags: str, wait: bool = True, **variables: str
    ) -> AbstractContextManager[Shop]:
        """Write `source` to app.py and serve it, with flags and variables."""


@pytest.fixture
def run(tmp_path: Path) -> Runs:
    """Return what serves an app with one web worker and one task at a time."""

    @contextmanager
    def running(source: str = APP, *flags: str, wait: bool = True, **variables: str) -> Iterator[Shop]:
        env = {"HOTPLATE_TASKS_DIR": str(tmp_path / "tasks"), "REDIS_URL": "", "CELERY_BROKER_URL": "", **variables}
        with instance(tmp_path, source, "--workers", "1", "--task-workers", "1", *flags, env=env, wait=wait) as site:
            yield Shop(site)

    return running
