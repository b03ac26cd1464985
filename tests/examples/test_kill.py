"""A worker that is killed in the middle of a newsletter, with real processes."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.examples.conftest import CALM, ROOT, places
from tests.examples.test_over_http import celery_worker
from tests.support.instance import environment
from tests.support.waiting import wait_until

POST = "from newsdesk.app import app; print(app.test_client().post('/newsletter').headers['Location'])"


@pytest.mark.process
def test_the_next_worker_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    """After a kill -9 nobody is left out, nobody is in the outbox twice, and nobody had to post again."""
    env = {**CALM, **places(tmp_path / "data"), "NEWSDESK_MODEL_MB": "1", "NEWSDESK_MAIL_MS": "20"}
    env = environment({**env, "PYTHONPATH": str(ROOT)})
    seed = [sys.executable, "-m", "newsdesk.seed", "--articles", "400", "--variant", "app"]
    subprocess.run(seed, env=env, cwd=tmp_path, check=True)
    posted = subprocess.run([sys.executable, "-c", POST], env=env, cwd=tmp_path, check=True, capture_output=True)
    assert posted.stdout.strip() == b"/newsletters/1"

    def asked(query: str) -> tuple[object, ...]:
        with closing(sqlite3.connect(tmp_path / "data" / "app.sqlite3")) as connection:
            row: tuple[object, ...] = connection.execute(query).fetchone()
            return row

    with celery_worker(tmp_path, env) as worker:
        wait_until(lambda: asked("SELECT sent FROM newsletters") >= (20,), what="some are out")
        for process in (main := psutil.Process(worker.pid)).children(recursive=True):
            process.kill()
        os.kill(main.pid, signal.SIGKILL)
        psutil.wait_procs([main], timeout=60)
    state, before = asked("SELECT state, sent FROM newsletters")
    assert (state, before) != ("sent", 100)
    (tmp_path / "worker.log").unlink()
    with celery_worker(tmp_path, env):
        wait_until(lambda: asked("SELECT state FROM newsletters") == ("sent",), what="it is sent")
    assert asked("SELECT sent, total FROM newsletters") == (100, 100)
    assert asked("SELECT count(*), count(DISTINCT user_id) FROM outbox") == (100, 100)
