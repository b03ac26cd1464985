"""What workers share with their generation and with one another, and what they must not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hotplate.settings import Settings
from hotplate.supervisor.messages import Drain, PreloadRefused
from tests.supervisor.conftest import StartsMaster
from tests.supervisor.fake_master import is_alive, ready

pytestmark = pytest.mark.process

HELLO = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def front(): return "hello"
"""


def test_workers_draw_different_random_numbers(start_master: StartsMaster) -> None:
    """Random numbers are not copied by the fork, NumPy's neither."""
    pytest.importorskip("numpy")
    master = start_master(
        "import random, numpy as np, uuid\nrandom.seed(1); np.random.seed(1)\n" + HELLO + "@app.get('/draw')\n"
        "def draw(): return f'{random.random()} {np.random.random()}'\n"
    )
    settings = Settings(target="app:app")
    drawn = set()
    for serial in (1, 2):
        line, pid = ready(master, settings, serial=serial)
        drawn |= set(master.get("/draw")[1].split(b"\r\n\r\n")[1].split())
        line.channel.send(Drain(5.0))
        master.reaped(pid)
    assert len(drawn) == 4


def test_shares_what_was_imported(start_master: StartsMaster) -> None:
    """Four workers with a model of 100,000 objects weigh far less than four models."""
    master = start_master(HELLO + "model = [{'n': n, 'text': str(n) * 9} for n in range(200_000)]\n")
    settings = Settings(target="app:app")
    pids = [ready(master, settings, serial=serial)[1] for serial in range(1, 5)]
    model = 200_000 * 300
    private = [_private(pid) for pid in pids]
    assert max(private) < model / 2, private


def test_names_itself(start_master: StartsMaster) -> None:
    """`ps` tells the processes apart."""
    master = start_master(HELLO)
    _line, pid = ready(master, Settings(target="app:app"), slot=3)
    assert Path(f"/proc/{pid}/cmdline").read_text().startswith("hotplate: worker 3 app:app")
    assert Path(f"/proc/{master.process.pid}/cmdline").read_text().startswith("hotplate: generation app:app")


def test_holds_no_line_but_its_own(start_master: StartsMaster) -> None:
    """A worker's death is noticed at once, because no sibling and no generation holds its end of the line."""
    master = start_master(HELLO)
    settings = Settings(target="app:app")
    first, pid = ready(master, settings)
    _second, heir = ready(master, settings, slot=1, serial=2)
    os.kill(pid, signal.SIGKILL)
    first.hear_end()
    master.reaped(pid)
    assert is_alive(heir)


SQLITE = """
from flask import Flask
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///app.db")
with engine.connect() as connection:
    connection.execute(text("create table if not exists t (n integer)"))
    connection.commit()
app = Flask(__name__)
@app.get("/")
def front():
    with engine.begin() as connection:
        connection.execute(text("insert into t values (1)"))
        return str(connection.scalar(text("select count(*) from t")))
"""


def test_an_idle_pool_is_no_reason_not_to_fork(start_master: StartsMaster) -> None:
    """A connection that went back to SQLAlchemy's pool during the import is closed before the fork."""
    pytest.importorskip("sqlalchemy")
    master = start_master(SQLITE)
    settings = Settings(target="app:app", warmup=())
    for serial in range(1, 4):
        ready(master, settings, serial=serial)
    assert [master.get()[1].rpartition(b"\r\n\r\n")[2] for _ in range(4)] == [b"1", b"2", b"3", b"4"]


def test_a_connection_in_use_is_a_reason_not_to_fork(start_master: StartsMaster) -> None:
    """A session left open by the import is named."""
    pytest.importorskip("sqlalchemy")
    master = start_master(SQLITE + "left_open = engine.connect()\n")
    master.configure(Settings(target="app:app"))
    assert "an open SQLite database" in master.generation.hear(PreloadRefused).reasons[0]


def _private(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
