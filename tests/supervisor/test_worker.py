"""A worker's life: boot, warm, serve, beat, drain, leave; and what it must not share with its siblings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from hotplate.apps import load
from hotplate.apps.target import Target
from hotplate.errors import ExitCode
from hotplate.gateway.traffic import Traffic
from hotplate.settings import Settings
from hotplate.supervisor import worker
from hotplate.supervisor.channel import Channel
from hotplate.supervisor.job import Job
from hotplate.supervisor.messages import (
    Beat,
    BootFailed,
    Drain,
    Drained,
    FromWorker,
    Hung,
    Outgrown,
    Ready,
    Shed,
    ToWorker,
)
from hotplate.supervisor.mold import Birth
from tests.supervisor.conftest import StartsMaster
from tests.supervisor.fake_gateway import FakeGateway
from tests.supervisor.fake_master import Line, is_alive, ready
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process

HELLO = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def front(): return "hello"
"""


def test_warms_with_functions_then_requests(start_master: StartsMaster) -> None:
    """Registered functions run in order, sync and async, then the paths; Ready says what they took."""
    master = start_master(
        HELLO
        + """
import asyncio
from hotplate import warmup
@warmup
def first(): print("first")
@warmup(name="second")
async def _(): await asyncio.sleep(0); print("second")
@app.before_request
def asked(): print("asked")
"""
    )
    master.configure(Settings(target="app:app", warmup=("/", "/nowhere")))
    warmed = master.fork()[0].hear(Ready).warmed
    assert [step.what for step in warmed] == ["app.first", "second", "/", "/nowhere"]
    said = [line for line in master.logged().split() if line in {"first", "second", "asked"}]
    assert said[:4] == ["first", "second", "asked", "asked"]
    assert set(said[4:]) <= {"asked"}  # quick paths are repeated


FAILING = {
    "request answered 500": ("@app.get('/five')\ndef f(): return 'x', 503", ("/five",), "GET /five", "503"),
    "request raising": (
        "app.testing = True\n@app.get('/five')\ndef f(): return 1 / 0",
        ("/five",),
        "GET /five",
        "ZeroDivisionError: division by zero (app.py, line",
    ),
    "function raising": (
        "from hotplate import warmup\n@warmup\ndef models(): raise OSError('no model')",
        (),
        "app.models",
        "OSError: no model (app.py, line",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_failed_warm_up_stops_the_worker(case: str, start_master: StartsMaster) -> None:
    """A warm-up that raises or answers 5xx is reported with its path and the traceback's last line."""
    code, paths, what, cause = FAILING[case]
    master = start_master(HELLO + code + "\n")
    master.configure(Settings(target="app:app", warmup=paths))
    line, pid = master.fork()
    failure = line.hear(BootFailed).failure
    assert failure.code == ExitCode.WARMUP_FAILED
    assert what in failure.attempted
    assert cause in failure.cause
    assert master.reaped(pid) == ExitCode.WARMUP_FAILED


def test_a_warm_up_that_lasts_too_long_stops_the_worker(start_master: StartsMaster) -> None:
    """The step that was running when the time to boot was over is named."""
    master = start_master(HELLO + "import time\nfrom hotplate import warmup\n@warmup\ndef slow(): time.sleep(3600)\n")
    master.configure(Settings(target="app:app", boot_timeout=1.0))
    line, pid = master.fork()
    failure = line.hear(BootFailed).failure
    assert "app.slow" in failure.attempted
    assert "--boot-timeout" in failure.remedy
    assert master.reaped(pid) == ExitCode.WARMUP_FAILED


def test_an_import_that_fails_in_the_worker_is_reported(start_master: StartsMaster) -> None:
    """Without preload the worker is the one that finds out, and says it as the generation would."""
    master = start_master("raise RuntimeError('no luck')")
    master.configure(Settings(target="app:app", preload="off"), "off")
    line, _pid = master.fork()
    failure = line.hear(BootFailed).failure
    assert failure.code == ExitCode.APP_IMPORT_FAILED
    assert "no luck" in failure.cause


def test_beats_with_traffic_and_memory(start_master: StartsMaster) -> None:
    """A worker says unasked how much it has served and, now and then, what it weighs."""
    master = start_master(HELLO)
    line, _pid = ready(master, Settings(target="app:app", max_memory=2**40))
    for _ in range(3):
        assert master.get()[0] == 200
    wait_until(lambda: line.hear(Beat).traffic.requests == 3, what="three requests are counted")
    wait_until(lambda: line.hear(Beat).private > 1_000_000, what="its memory is told")


def test_passes_on_what_it_is_told_and_what_it_finds(start_master: StartsMaster) -> None:
    """Shed reaches the gateway; a hung request reaches the master with its stack."""
    master = start_master(HELLO)
    line, _pid = ready(master, Settings(target="app:app"))
    line.channel.send(Shed(3))
    wait_until(lambda: b"X-Shed: 3" in master.get()[1], what="the gateway sheds")
    master.get("/hang")
    hung = line.hear(Hung)
    assert (hung.request, hung.stack) == ("GET /hang", "the stack")
    assert hung.seconds >= 30


def test_asks_once_to_be_replaced_after_max_requests(start_master: StartsMaster) -> None:
    """A worker that has served its share goes on serving until it is told to leave."""
    master = start_master(HELLO)
    line, _pid = ready(master, Settings(target="app:app", max_requests=5))
    for _ in range(8):
        assert master.get()[0] == 200
    assert "max_requests" in line.hear(Outgrown).why
    assert master.get()[0] == 200
    line.channel.send(Drain(5.0))
    line.hear(Drained)
    assert sum(isinstance(message, Outgrown) for message in line.heard) == 1


def test_asks_to_be_replaced_when_it_grew_too_large(start_master: StartsMaster) -> None:
    """Private memory counts; what is shared with the generation does not."""
    master = start_master(
        HELLO + "shared, kept = bytes(range(256)) * 400_000, []\n@app.get('/eat')\n"
        "def eat(): kept.append(b'x' * 100_000_000); return 'ate'\n"
    )
    line, _pid = ready(master, Settings(target="app:app", max_memory=80 * 1024 * 1024))
    wait_until(lambda: line.hear(Beat).private, what="the memory was sampled")
    assert not any(isinstance(message, Outgrown) for message in line.heard)
    master.get("/eat")
    assert "max_memory" in line.hear(Outgrown).why


@pytest.mark.parametrize("way", ["order", "SIGTERM", "master gone"])
def test_finishes_what_it_is_doing_and_leaves(way: str, start_master: StartsMaster) -> None:
    """However a worker is told to leave, it drains, shuts the gateway down and ends with 0."""
    master = start_master(HELLO)
    line, pid = ready(master, Settings(target="app:app"))
    if way == "order":
        line.channel.send(Drain(10.0))
        assert line.hear(Drained).abandoned == 0
    elif way == "SIGTERM":
        os.kill(pid, signal.SIGTERM)
        assert line.hear(Drained).abandoned == 0
    else:
        line.channel.close()
    assert master.reaped(pid) == 0
    assert "gateway shut down" in master.logged()


def test_a_second_order_shortens_the_grace(start_master: StartsMaster) -> None:
    """Told to hurry, a draining worker leaves before its first grace is over."""
    master = start_master(HELLO, FAKE_DRAIN="3600")
    line, pid = ready(master, Settings(target="app:app"))
    began = time.monotonic()
    line.channel.send(Drain(3600.0))
    line.hear(Beat)
    line.channel.send(Drain(0.1))
    line.hear(Drained)
    assert master.reaped(pid) == 0
    assert time.monotonic() - began < 3600


def test_told_to_leave_while_it_boots(start_master: StartsMaster) -> None:
    """A worker that nobody wants any more does not finish its warm-up."""
    master = start_master(HELLO + "import time\nfrom hotplate import warmup\n@warmup\ndef slow(): time.sleep(3600)\n")
    master.configure(Settings(target="app:app"))
    line, pid = master.fork()
    line.channel.send(Drain(5.0))
    assert master.reaped(pid) == 0


def test_exit_handlers_belong_to_the_process_that_registered_them(start_master: StartsMaster, tmp_path: Path) -> None:
    """What the import made is cleaned up once, when the generation ends, and not by the first worker that leaves."""
    master = start_master(
        HELLO
        + """
import atexit, os, tempfile
folder = tempfile.TemporaryDirectory(dir=os.getcwd(), prefix="made-by-import-")
atexit.register(print, "the import's handler")
from hotplate import warmup
@warmup
def register(): atexit.register(print, "the worker's handler")
"""
    )
    settings = Settings(target="app:app")
    first, pid = ready(master, settings)
    ready(master, settings, serial=2)
    first.channel.send(Drain(5.0))
    assert master.reaped(pid) == 0
    assert "the worker's handler" in master.logged()
    assert "the import's handler" not in master.logged()
    assert list(tmp_path.glob("made-by-import-*"))
    master.die()
    master.process.wait()
    assert master.logged().count("the import's handler") == 1
    assert not list(tmp_path.glob("made-by-import-*"))


def test_children_of_the_generation_are_not_the_workers_to_end(start_master: StartsMaster) -> None:
    """A helper process that the import started survives the workers, one that a worker started goes with it."""
    master = start_master(
        HELLO
        + """
import multiprocessing, time
fork = multiprocessing.get_context("fork")
helper = fork.Process(target=time.sleep, args=(3600,), daemon=True)
helper.start()
print("helper", helper.pid)
from hotplate import warmup
@warmup
def start():
    own = fork.Process(target=time.sleep, args=(3600,), daemon=True)
    own.start()
    print("own", own.pid)
"""
    )
    line, pid = ready(master, Settings(target="app:app"))
    helper, own = (int(master.logged().split(word)[1].split()[0]) for word in ("helper ", "own "))
    assert is_alive(own)
    line.channel.send(Drain(5.0))
    assert master.reaped(pid) == 0
    wait_until(lambda: not is_alive(own), what="the worker's own child has ended")
    assert is_alive(helper)
    master.die()
    wait_until(lambda: not is_alive(helper), what="the generation's child has ended with it")


def test_waits_for_the_apps_own_threads_but_not_for_ever(start_master: StartsMaster) -> None:
    """Work that a view handed to a pool is finished within the grace; an endless thread is left behind."""
    master = start_master(
        HELLO
        + """
import concurrent.futures, threading, time
pool = concurrent.futures.ThreadPoolExecutor(1)
@app.get("/later")
def later():
    pool.submit(lambda: (time.sleep(0.3), print("mail sent")))
    return "soon"
@app.get("/endless")
def endless():
    threading.Thread(target=threading.Event().wait).start()
    return "never"
"""
    )
    settings = Settings(target="app:app")
    line, pid = ready(master, settings)
    master.get("/later")
    line.channel.send(Drain(30.0))
    assert master.reaped(pid) == 0
    assert "mail sent" in master.logged()
    line, pid = ready(master, settings, serial=2)
    master.get("/endless")
    line.channel.send(Drain(1.0))
    assert master.reaped(pid) == 0


def test_a_silent_master_does_not_stop_a_worker(tmp_path: Path) -> None:
    """While the master does not read, beats are skipped and the worker goes on."""
    looked = asyncio.Semaphore(0)

    class Counting(FakeGateway):
        def snapshot(self) -> Traffic:
            looked.release()
            return super().snapshot()

    async def scene() -> int:
        nonlocal looked
        mine, theirs = socket.socketpair()
        line = Line(mine, FromWorker)
        app = load.LoadedApp(print, "app:app", "wsgi", None, "", "app", ())
        settings = Settings(warmup=())
        job = Job(Birth(0, 1, time.monotonic(), theirs, ()), settings, Target(module="app"), tmp_path, app)
        running = asyncio.create_task(worker.Worker(job, Channel(theirs, ToWorker), Counting(app, settings)).run())
        while not line.heard:
            await asyncio.sleep(0.01)
            line.listen(0)
        assert isinstance(line.heard[0], Ready)
        with contextlib.suppress(BlockingIOError):
            while True:
                theirs.send(bytes(1024), socket.MSG_DONTWAIT)
        looked = asyncio.Semaphore(0)
        for _ in range(3):
            await looked.acquire()
        mine.close()
        return await running

    assert asyncio.run(scene()) == 0
