"""Celery's own workers on the embedded broker, in each pool that has an event loop: real commands, from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery
import psutil
import pytest

from hotplate.tasks.embedded import url
from hotplate.tasks.embedded.file import Store
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process

APP = """
import os, time
import celery
import hotplate.tasks.embedded

hotplate.tasks.embedded.register()
app = celery.Celery("work", broker=os.environ["BROKER"])
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1,
                task_ignore_result=True, broker_connection_retry_on_startup=True)

def note(text):
    log = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, (text + "\\n").encode())
    os.close(log)

@app.task(name="note", bind=True)
def noting(self, text):
    note(text)

@app.task(name="slow", bind=True)
def slow(self, text, until):
    note(text + (" begins again" if self.request.delivery_info["redelivered"] else " begins"))
    while not os.path.exists(until):
        time.sleep(0.02)
    note(text + " ends")
"""


class Works:
    """An app, its log, and the workers that were started for it."""

    def __init__(self, folder: Path, store: Store, pool: str) -> None:
        self.folder = folder
        self.store = store
        self.pool = pool
        self.started: list[subprocess.Popen[bytes]] = []
        self.app: Any = celery.Celery("work", broker=url(store.path))
        self.app.conf.task_ignore_result = True
        (folder / "work.py").write_text(APP)

    def start(self, *, answers: bool = True) -> subprocess.Popen[bytes]:
        """Starts a worker, and waits until it answers; a solo pool that works cannot."""
        environment = os.environ | {"BROKER": url(self.store.path), "LOG": str(self.folder / "log")}
        name = f"w{len(self.started)}@here"
        command = [sys.executable, "-m", "celery", "-A", "work", "worker", "-P", self.pool, "-c", "2", "-n", name]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        if answers:
            wait_until(lambda: self.app.control.inspect([name], timeout=0.5).ping(), what=f"{name} answers")
        return process

    def send(self, task: str, *arguments: object) -> None:
        """Sends a task by its name."""
        self.app.send_task(task, arguments)

    def log(self) -> list[str]:
        """What tasks have noted."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def kill(self) -> None:
        """Kills every process of every worker."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(params=["prefork", "threads", "solo"])
def works(request: pytest.FixtureRequest, tmp_path: Path, store: Store) -> Iterator[Works]:
    """An app without workers yet."""
    works = Works(tmp_path, store, request.param)
    yield works
    works.kill()
    works.app.close()


def test_a_worker_works_stops_and_is_replaced(works: Works) -> None:
    """Tasks run once; what runs at SIGTERM ends and is acknowledged; what a killed worker had runs again elsewhere."""
    worker = works.start()
    for number in range(20):
        works.send("note", str(number))
    wait_until(lambda: len(works.log()) == 20, what="twenty tasks are done")
    assert sorted(works.log(), key=int) == [str(number) for number in range(20)]
    wait_until(lambda: works.store.counts()["celery"][:3] == (0, 0, 0), what="all are acknowledged")

    gate = works.folder / "gate"
    works.send("slow", "at the end", str(gate))
    wait_until(lambda: works.log()[-1] == "at the end begins")
    worker.send_signal(signal.SIGTERM)
    gate.touch()
    worker.wait(60)
    assert works.log()[-1] == "at the end ends"
    wait_until(lambda: works.store.counts()["celery"][:3] == (0, 0, 0), what="what ended is acknowledged")

    second = works.start()
    works.send("slow", "interrupted", str(works.folder / "never"))
    wait_until(lambda: works.log()[-1] == "interrupted begins")
    os.killpg(second.pid, signal.SIGKILL)
    second.wait()
    works.start(answers=False)
    wait_until(lambda: works.log()[-1] == "interrupted begins again", what="the interrupted task runs again")


def test_an_idle_worker_hardly_wakes(works: Works) -> None:
    """A handful of wake-ups a second: its loop's and the look around, no polling."""
    worker = psutil.Process(works.start().pid)
    before = worker.num_ctx_switches().voluntary, worker.cpu_times().user + worker.cpu_times().system
    wait_until(lambda: worker.create_time() > 0)
    ticks = [os.times().elapsed]
    wait_until(lambda: os.times().elapsed - ticks[0] > 3, what="three seconds have gone by")
    after = worker.num_ctx_switches().voluntary, worker.cpu_times().user + worker.cpu_times().system
    assert after[0] - before[0] < 150
    assert after[1] - before[1] < 0.15
