"""The generation and its workers with the real gateway: what is imported before the fork, and what it saves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from hotplate.settings import Settings
from hotplate.supervisor.messages import BootFailed, Drain, Drained, Imported, Ready
from tests.supervisor.conftest import StartsMaster
from tests.supervisor.fake_master import REAL

pytestmark = pytest.mark.process

HELLO = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def front(): return "hello"
@app.get("/broken")
def broken(): return {}["nothing"]
"""


def test_preparing_for_workers_starts_nothing() -> None:
    """Granian, uvloop and the gateway are imported before the fork: no thread runs and nothing new is open after it."""
    code = (
        "from hotplate.supervisor import forksafety, generation\n"
        "before = forksafety.observe()\n"
        "generation._real_gateway()\n"
        "print(forksafety.findings(before))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "()"


def test_serves_and_is_replaced(start_master: StartsMaster) -> None:
    """A worker serves over its slot's listener, its replacement over the same; told to, it leaves."""
    master = start_master(HELLO, program=REAL)
    master.configure(Settings(target="app:app"))
    assert master.generation.hear(Imported).preloaded
    line, pid = master.fork(serial=1)
    line.hear(Ready)
    assert master.get()[1].endswith(b"hello")
    os.kill(pid, signal.SIGKILL)
    assert master.reaped(pid) == -signal.SIGKILL
    line, pid = master.fork(serial=2)
    line.hear(Ready)
    assert master.get()[1].endswith(b"hello")
    line.channel.send(Drain(10.0))
    assert line.hear(Drained).abandoned == 0
    assert master.reaped(pid) == 0


def test_a_failed_page_names_the_fault(start_master: StartsMaster) -> None:
    """Flask answers 500 and only logs what went wrong; the traceback's last line is found all the same."""
    master = start_master(HELLO, program=REAL)
    master.configure(Settings(target="app:app", warmup=("/", "/broken")))
    failure = master.fork()[0].hear(BootFailed).failure
    assert failure.attempted == "warm up with GET /broken"
    assert "answered 500" in failure.cause
    assert "KeyError: 'nothing' (app.py, line 7)" in failure.cause
    assert "broken" in failure.detail
