"""Results where things go wrong: no room on the disk, deaths in the middle, many processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord
from celery._state import _task_stack
from celery.exceptions import Reject
from kombu import asynchronous

import hotplate
from hotplate.tasks.embedded import problems, results
from tests.support.waiting import DEADLINE, wait_until

_SOURCES = Path(hotplate.__file__).parents[1]
_ROOT = Path(__file__).parents[3]


@contextmanager
def full_disk(app: Celery, monkeypatch: pytest.MonkeyPatch, until: Callable[[], bool]) -> Iterator[list[str]]:
    """Lets results fail for want of room until something has happened; gives a list with a word per failure."""
    backend: Any = app.backend
    path, write = backend._store.path, backend._table._write
    failures: list[str] = []

    @contextmanager
    def full() -> Iterator[Any]:
        if not until():
            failures.append("full")
            raise problems.full(path, "disk full")
        with write() as writing:
            yield writing

    with monkeypatch.context() as patch:
        patch.setattr(backend._table, "_write", full)
        yield failures


@pytest.fixture
def within_a_task(app: Celery) -> Iterator[None]:
    """As if a task of ours ran in this thread."""
    _task_stack.push(app.tasks["add"])
    yield
    _task_stack.pop()


@pytest.mark.usefixtures("worker")
def test_a_result_waits_for_room(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is done while the disk is full is not done again: its result is stored once there is room."""
    monkeypatch.setattr(results, "_PAUSE", 0.01)
    tries = iter(range(6))
    with full_disk(app, monkeypatch, lambda: next(tries, None) is None) as failures:
        assert app.tasks["add"].delay(1, 2).get(timeout=DEADLINE) == 3
    assert len(failures) == 6


@pytest.mark.process
def test_a_task_whose_result_finds_no_room_is_given_back(url: str, tmp_path: Path) -> None:
    """It is not acknowledged: after minutes without room it goes back to its queue, and is run again."""
    runs = tmp_path / "runs"
    runs.touch()
    app = Celery("roomless", broker=url, backend=url, set_as_current=False)
    command = [sys.executable, "-m", "celery", "-A", "tests.tasks.results.roomless", "worker", "-c", "1", "-l", "INFO"]
    result = app.send_task("run")
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_SOURCES), "CELERY_BROKER_URL": url, "RUNS": str(runs)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        assert result.get(timeout=DEADLINE) == 2
    finally:
        worker.terminate()
        worker.wait(DEADLINE)


@pytest.mark.usefixtures("within_a_task")
def test_progress_that_finds_no_room_does_not_end_its_task(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a task has begun, or how far it is, is not worth its life."""
    with full_disk(app, monkeypatch, lambda: False) as failures:
        app.backend.store_result("one", {"done": 1}, "PROGRESS")
        app.backend.store_result("one", {}, "STARTED")
    assert len(failures) == 2
    assert app.AsyncResult("one").state == "PENDING"


@pytest.mark.usefixtures("within_a_task")
def test_patience_ends(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery is told to give the task back, whatever its result was."""
    monkeypatch.setattr(results, "_PATIENCE", 0.0)
    with full_disk(app, monkeypatch, lambda: False), pytest.raises(Reject) as caught:
        app.backend.store_result("one", ValueError("x"), "FAILURE")
    assert caught.value.requeue


def test_a_workers_main_process_stores_results_when_there_is_room(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was killed for its time is its main process's to report, which neither dies nor forgets."""
    made: Any = asynchronous.Hub
    hub = made()
    monkeypatch.setattr(results, "get_event_loop", lambda: hub)
    monkeypatch.setattr(results, "_PAUSE", 0.0)
    tries = iter(range(3))
    with full_disk(app, monkeypatch, lambda: next(tries, None) is None):
        app.backend.store_result("one", TimeoutError(), "FAILURE")
        assert app.AsyncResult("one").state == "PENDING"
        wait_until(lambda: hub.fire_timers() is not None and app.AsyncResult("one").failed(), what="it is stored")


def test_outside_of_tasks_nobody_waits_for_room(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web request, or a script, is told at once, in words that help."""
    with full_disk(app, monkeypatch, lambda: False), pytest.raises(problems.BrokerFileError, match="Make room"):
        app.backend.store_result("one", ValueError("x"), "FAILURE")


class Request:
    """Celery's context of a header's task."""

    def __init__(self, number: int, body: Any) -> None:
        self.id, self.group, self.group_index, self.chord = f"task{number}", "chord", number, body


_DYING = """
import os, signal, sys
import hotplate.tasks
from celery import Celery
from tests.tasks.results.test_hardship import Request

url, moment = sys.argv[1:]
app = Celery("results", broker=url, backend=url)
app.conf.task_default_queue = "bodies"
body = app.signature("body", task_id="the-body")
backend = app.backend
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if moment == "counted":
    backend._chords._complete = die
if moment == "joined":
    backend._chords._send = die
if moment == "sent":
    backend._table.end_chord = die
backend.on_chord_part_return(Request(1, body), "SUCCESS", 1)
"""


@pytest.mark.parametrize("moment", ["counted", "joined", "sent", "done"])
def test_a_chord_survives_the_death_of_whoever_completes_it(app: Celery, url: str, moment: str) -> None:
    """Killed at any moment, the last task runs again and the body is sent, with one id."""
    body = app.signature("body", task_id="the-body")
    app.conf.task_default_queue = "bodies"
    backend = app.backend
    backend.set_chord_size("chord", 2)
    backend.on_chord_part_return(Request(0, body), "SUCCESS", 0)
    died = subprocess.run(
        [sys.executable, "-c", _DYING, url, moment],
        env={"PYTHONPATH": f"{_SOURCES}:{_ROOT}", "PATH": os.environ["PATH"]},
        cwd=_ROOT,
        check=False,
        timeout=DEADLINE,
    )
    assert died.returncode == (0 if moment == "done" else -signal.SIGKILL)
    for number in (1, 0, 1):
        backend.on_chord_part_return(Request(number, body), "SUCCESS", number)
    sent = bodies(app)
    assert {message.headers["id"] for message in sent} == {"the-body"}
    assert all(message.payload[0] == [[0, 1]] for message in sent)
    assert len(sent) == (2 if moment == "sent" else 1)


def bodies(app: Celery) -> list[Any]:
    """Takes what was sent to the queue of bodies."""
    found = []
    with app.connection_for_read() as connection, connection.SimpleQueue("bodies") as queue:
        while queue.qsize():
            found.append(queue.get(block=False))
            found[-1].ack()
    return found


def test_two_that_complete_a_chord_at_once_send_one_body(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one sends the body, another that finds the chord complete leaves it to it."""
    app.conf.task_default_queue = "bodies"
    backend: Any = app.backend
    body = app.signature("body", task_id="the-body")
    backend.set_chord_size("chord", 1)
    send = backend._chords._send

    def while_sending(*arguments: Any) -> None:
        backend.on_chord_part_return(Request(0, body), "SUCCESS", 0)
        send(*arguments)

    monkeypatch.setattr(backend._chords, "_send", while_sending)
    backend.on_chord_part_return(Request(0, body), "SUCCESS", 0)
    assert len(bodies(app)) == 1


_WAITING = """
import sys
import hotplate.tasks
from celery import Celery
from hotplate.tasks.embedded import results
results._CALM = 3600.0
app = Celery("results", broker=sys.argv[1], backend=sys.argv[1])
print("waits", flush=True)
print(app.AsyncResult("shared").get(timeout=60, interval=3600), flush=True)
"""


def waiting(url: str) -> subprocess.Popen[str]:
    """Starts a process that waits for the result named shared."""
    return subprocess.Popen(
        [sys.executable, "-c", _WAITING, url],
        env={"PYTHONPATH": str(_SOURCES), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_other_processes_are_woken(app: Celery, url: str) -> None:
    """Whoever waits, wherever it waits, hears of a result; what a killed one left behind is cleared away."""
    backend: Any = app.backend
    dead, alive = waiting(url), waiting(url)
    try:
        wait_until(lambda: len(backend._watching._names()) == 2, what="both wait", ignoring=(FileNotFoundError,))
        dead.kill()
        dead.wait(DEADLINE)
        backend.store_result("shared", 42, "SUCCESS")
        assert alive.communicate(timeout=DEADLINE)[0].split() == ["waits", "42"]
        assert backend._watching._names() == ()
    finally:
        for process in (dead, alive):
            process.kill()
            process.communicate()


def test_a_forked_process_uses_the_backend_it_inherited(app: Celery) -> None:
    """A pool's children store results through what their parent made, while the parent waits."""
    backend = app.backend
    backend.store_result("before", 1, "SUCCESS")
    child = os.fork()
    if child == 0:
        try:
            backend.store_result("forked", backend.get_result("before") + 1, "SUCCESS")
        finally:
            os._exit(0)
    assert app.AsyncResult("forked").get(timeout=DEADLINE) == 2
    assert os.waitpid(child, 0)[1] == 0


def test_a_path_longer_than_a_sockets_address_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unix sockets have 108 bytes for their address; folders may be deeper."""
    monkeypatch.setattr(results, "_CALM", 3600.0)
    url = f"hotplate:///{tmp_path / ('deep' * 20) / ('deeper' * 20) / 'tasks.sqlite'}"
    app = Celery("results", broker=url, backend=url, set_as_current=False)
    backend: Any = app.backend
    with backend._watching.watch(["one"]) as watch:
        backend.store_result("one", 1, "SUCCESS")
        watch.wait(DEADLINE)
    assert app.AsyncResult("one").get(timeout=0) == 1


@pytest.mark.usefixtures("worker")
def test_a_chord_on_a_worker_that_is_busy(app: Celery) -> None:
    """Many chords at once, each with its own results."""
    add, total = app.tasks["add"], app.tasks["total"]
    made = [chord([add.s(number, part) for part in range(5)])(total.s()) for number in range(20)]
    assert [result.get(timeout=DEADLINE) for result in made] == [5 * number + 10 for number in range(20)]
