"""The generation: imports once, refuses what is not safe to fork, forks, reaps, and outlives nobody in vain."""

from __future__ import annotations

import os
import signal
import socket
from typing import Literal

import pytest

from hotplate.errors import ExitCode
from hotplate.settings import Settings
from hotplate.supervisor.messages import (
    BootFailed,
    Drain,
    Drained,
    Imported,
    ImportFailed,
    PreloadRefused,
    Ready,
    Retire,
)
from tests.supervisor.conftest import StartsMaster
from tests.supervisor.fake_master import is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process

HELLO = """
    import os
    from flask import Flask
    print("imported by", os.getpid())
    app = Flask(__name__)
    @app.get("/")
    def front(): return f"worker {os.getpid()}"
"""


def test_imports_once_for_every_worker(start_master: StartsMaster) -> None:
    """With preload the app is imported by the generation, and by nobody else."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app"))
    imported = master.generation.hear(Imported)
    assert (imported.app, imported.kind, imported.framework, imported.preloaded) == ("app:app", "wsgi", "flask", True)
    pids = set()
    for slot in range(3):
        line, pid = master.fork(slot, serial=slot + 1)
        assert [warmed.what for warmed in line.hear(Ready).warmed] == ["/"]
        pids.add(pid)
    assert len(pids) == 3
    assert master.logged().count("imported by") == 1
    assert f"imported by {master.process.pid}" in master.logged()


def test_without_preload_each_worker_imports(start_master: StartsMaster) -> None:
    """With preload off the generation never imports the app; each worker does."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app", preload="off"), "off")
    assert not master.generation.hear(Imported).preloaded
    pids = []
    for slot in range(2):
        line, pid = master.fork(slot, serial=slot + 1)
        line.hear(Ready)
        pids.append(pid)
    assert [f"imported by {pid}" in master.logged() for pid in (*pids, master.process.pid)] == [True, True, False]


APP = "from flask import Flask\napp = Flask('a')\n"
UNSAFE = {
    "thread": (
        "import threading; threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
        "a running thread 'poller', started at app.py:2",
    ),
    "pool of threads": (
        "import concurrent.futures as f, time; p = f.ThreadPoolExecutor(1); p.submit(time.sleep, 60)",
        "started at app.py:2",
    ),
    "thread of a library": (
        "import logging.handlers as h, queue; h.QueueListener(queue.Queue()).start()",
        "started at app.py:2",
    ),
    "event loop": ("import asyncio; loop = asyncio.new_event_loop()", "an event loop or selector (epoll)"),
    "listening socket": (
        "import socket; s = socket.create_server(('127.0.0.1', 0))",
        "a listening socket on 127.0.0.1:",
    ),
    "SQLite connection": (
        "import sqlite3; c = sqlite3.connect('app.db'); c.execute('create table t (n)'); c.commit()",
        "an open SQLite database",
    ),
    "native thread": (
        "import ctypes as c; c.CDLL(None).pthread_create(c.byref(c.c_ulong()), None, c.CDLL(None).pause, None)",
        "1 native thread named",
    ),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_refuses_to_fork_what_is_not_safe(case: str, start_master: StartsMaster) -> None:
    """An import that leaves threads or open sockets behind is named and not forked from."""
    line, expected = UNSAFE[case]
    master = start_master(f"\n{line}\n{APP}")
    master.configure(Settings(target="app:app"))
    reasons = master.generation.hear(PreloadRefused).reasons
    assert any(expected in reason for reason in reasons), reasons
    assert master.process.wait(60) == 0


def test_names_the_peer_of_a_connection(start_master: StartsMaster) -> None:
    """A connection that was opened at import is named with its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        master = start_master(f"import socket\ns = socket.create_connection(('127.0.0.1', {port}))\n{APP}")
        master.configure(Settings(target="app:app"))
        assert master.generation.hear(PreloadRefused).reasons == (f"a connection to 127.0.0.1:{port}",)


SAFE = {
    "a connection that was dropped": "import socket\nclass S(socket.socket): pass\ns = S(); s.me = s; del s",
    "a thread that has ended": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "an event loop that has ended": "import asyncio; asyncio.run(asyncio.sleep(0))",
    "syslog": "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "OpenBLAS and its threads": "import numpy; m = numpy.ones((300, 300)); m @ m",
    "SQLite in memory": "import sqlite3; c = sqlite3.connect(':memory:'); c.execute('create table t (n)')",
}


@pytest.mark.parametrize("case", SAFE)
def test_forks_what_is_safe(case: str, start_master: StartsMaster) -> None:
    """What a fork does not break is no reason to give up the shared memory."""
    if "numpy" in SAFE[case]:
        pytest.importorskip("numpy")
    master = start_master(SAFE[case] + "\n" + APP)
    master.configure(Settings(target="app:app", warmup=()))
    assert master.generation.hear((Imported, PreloadRefused)).__class__ is Imported
    master.fork()[0].hear(Ready)


def test_preload_on_goes_on_with_a_warning(start_master: StartsMaster) -> None:
    """Who insists on preload gets it, and is told what he insisted on."""
    master = start_master(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n" + APP
    )
    master.configure(Settings(target="app:app", warmup=(), preload="on"), "on")
    imported = master.generation.hear(Imported)
    assert imported.preloaded
    assert "poller" in imported.why
    assert "poller" in master.logged()
    master.fork()[0].hear(Ready)


FAILING: dict[str, tuple[str, str, ExitCode]] = {
    "exception": ("import os\nraise RuntimeError('no luck')", "app:app", ExitCode.APP_IMPORT_FAILED),
    "attribute": ("application = None", "app:app", ExitCode.ATTRIBUTE_MISSING),
    "module": ("", "nowhere:app", ExitCode.APP_NOT_FOUND),
}


@pytest.mark.parametrize("case", FAILING)
def test_says_why_the_import_failed(case: str, start_master: StartsMaster) -> None:
    """A version that cannot be imported is reported, and the generation ends."""
    app, target, code = FAILING[case]
    master = start_master(app)
    master.configure(Settings(target=target))
    failure = master.generation.hear(ImportFailed).failure
    assert failure.code == code
    if case == "exception":
        assert "no luck" in failure.cause
        assert "app.py" in failure.detail
    assert master.process.wait(60) == 0


@pytest.mark.parametrize("preload", ["auto", "off"])
def test_replaces_a_killed_worker(preload: Literal["auto", "off"], start_master: StartsMaster) -> None:
    """A worker that was killed is reaped at once, its queued connections stay, and the next one serves them."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app", preload=preload), preload)
    first, pid = master.fork(serial=1)
    first.hear(Ready)
    os.kill(pid, signal.SIGKILL)
    assert master.reaped(pid) == -signal.SIGKILL
    second, heir = master.fork(serial=2)
    second.hear(Ready)
    assert f"worker {heir}".encode() in master.get()[1]


def test_workers_and_generation_leave_when_the_master_dies(start_master: StartsMaster) -> None:
    """Nobody is left behind by a master that was killed: workers drain, then the generation ends."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app"))
    line, pid = master.fork()
    line.hear(Ready)
    master.die()
    assert master.process.wait(60) == 0
    assert not is_alive(pid)
    assert "gateway shut down" in master.logged()


def test_workers_outlive_a_killed_generation(start_master: StartsMaster) -> None:
    """A generation that dies takes no worker with it."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app"))
    line, pid = master.fork()
    line.hear(Ready)
    os.kill(master.process.pid, signal.SIGKILL)
    master.process.wait()
    assert master.get()[0] == 200
    line.channel.send(Drain(5.0))
    line.hear(Drained)
    wait_until(lambda: not is_alive(pid), what="the worker has left")


def test_retired_leaves_with_its_last_worker(start_master: StartsMaster) -> None:
    """A retired generation waits for its workers and then ends by itself."""
    master = start_master(HELLO)
    master.configure(Settings(target="app:app"))
    line, pid = master.fork()
    line.hear(Ready)
    master.generation.channel.send(Retire())
    assert master.get()[0] == 200
    line.channel.send(Drain(5.0))
    assert master.reaped(pid) == 0
    assert master.process.wait(60) == 0


def test_ctrl_c_and_hang_up_are_the_masters_business(start_master: StartsMaster) -> None:
    """What a terminal sends to everybody ends neither generation nor worker, but still ends what the app starts."""
    master = start_master(
        HELLO
        + """
    import subprocess
    @app.get("/child")
    def child(): return subprocess.run(["sh", "-c", "kill -INT $$; echo survived"], capture_output=True).stdout
    """
    )
    master.configure(Settings(target="app:app"))
    line, pid = master.fork()
    line.hear(Ready)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(pid, number)
        os.kill(master.process.pid, number)
    assert b"survived" not in master.get("/child")[1]
    master.fork(serial=2)[0].hear(Ready)


def test_shows_where_it_hangs(start_master: StartsMaster) -> None:
    """SIGUSR2 prints every stack, of a generation that hangs in the import too, and ends nothing."""
    master = start_master("import time\nprint('importing')\nwhile True: time.sleep(60)")
    master.configure(Settings(target="app:app"))
    wait_until(lambda: "importing" in master.logged(), what="the import hangs")
    os.kill(master.process.pid, signal.SIGUSR2)
    wait_until(lambda: "app.py" in master.logged(), what="the stack is shown")
    assert master.process.poll() is None


def test_a_fork_that_the_system_refuses_is_reported(start_master: StartsMaster) -> None:
    """When there is no process to be had, the worker's line says so, and the generation lives on."""
    master = start_master(
        """
        import os
        from flask import Flask
        app = Flask(__name__)
        fork, outcomes = os.fork, ["trial", "refused"]
        def refuse():
            if outcomes and outcomes.pop(0) == "refused":
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return fork()
        os.fork = refuse
        """
    )
    master.configure(Settings(target="app:app", warmup=()))
    master.generation.hear(Imported)
    refused = master.order_fork(serial=1)
    failure = refused.hear(BootFailed).failure
    assert failure.code == ExitCode.WORKER_BOOT_FAILED
    assert "Resource temporarily unavailable" in failure.cause
    refused.hear_end()
    master.fork(serial=2)[0].hear(Ready)
