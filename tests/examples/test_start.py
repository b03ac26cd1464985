"""Starting: what importing leaves behind, and what an app without a database says."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from tests.examples.asking import created
from tests.examples.conftest import CALM, Site

INSPECT = """
import json, os, sys, threading
import newsdesk.app
paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
links = [os.readlink(path) for path in paths if os.path.exists(path)]
print(json.dumps({
    "threads": len(os.listdir("/proc/self/task")),
    "python_threads": threading.active_count(),
    "open": [link for link in links if "sqlite" in link or link.startswith("socket:")],
}))
"""


def python(environ: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="threads and descriptors are read from /proc")
def test_importing_app_leaves_nothing_running(environ: dict[str, str]) -> None:
    """After the import there is one thread, no connection and no open database, so that it can be forked."""
    subprocess.run([sys.executable, "-m", "newsdesk.seed", "--articles", "5"], env=environ, check=True)
    done = python(environ, INSPECT)
    assert json.loads(done.stdout) == {"threads": 1, "python_threads": 1, "open": []}, done.stderr


@pytest.mark.parametrize("variant", ["app", "slow"])
def test_without_a_database_it_names_the_command(variant: str, environ: dict[str, str]) -> None:
    """An unseeded app starts, says in one line what to type, and answers 503 with the same line, without traceback."""
    code = f"""
from newsdesk.{variant} import app
client = app.test_client()
for path in ("/", "/api/articles", "/newsletter"):
    reply = client.get(path)
    assert reply.status_code == 503, reply.status
    assert "python -m newsdesk.seed" in reply.text, reply.text
    assert reply.headers["Retry-After"]
assert client.get("/duplicates").status_code == 200
"""
    done = python(environ | CALM, code)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("newsdesk: There are no articles yet in ")
    assert first.endswith("python -m newsdesk.seed")
    assert not Path(environ["NEWSDESK_DATA"]).exists()


def test_seeding_a_running_app_is_enough(environ: dict[str, str]) -> None:
    """Once the command has run, the same process serves; nothing needs a restart."""
    code = """
from newsdesk.app import app
from newsdesk.seed import main
client = app.test_client()
assert client.get("/").status_code == 503
assert main(["--articles", "30"]) == 0
assert client.get("/").status_code == 200
"""
    done = python(environ, code)
    assert done.returncode == 0, done.stderr


def test_a_busy_database_is_503(app_site: Site, data: Path) -> None:
    """While somebody else holds the database, a change is refused for now, and nothing is lost or half done."""
    fetch = app_site.fetch()
    path = created(fetch)

    def wait_for_nobody(connection: DBAPIConnection, *_: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 0")

    event.listen(app_site.engine, "checkout", wait_for_nobody)
    try:
        with closing(sqlite3.connect(data / "app.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refusal = fetch("DELETE", path)
            assert "busy" in refusal.json()["error"]["message"]
            assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
            assert fetch("GET", path).status == 200
            other.execute("ROLLBACK")
        assert fetch("DELETE", path).status == 204
    finally:
        event.remove(app_site.engine, "checkout", wait_for_nobody)
        app_site.engine.dispose()


def test_a_bug_is_still_a_500(
    app_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the database refuses for our own fault is not dressed up: 500 with a traceback in the log."""
    from newsdesk import app_queries

    monkeypatch.setattr(app_queries, "find", lambda session, _key: session.execute(text("SELECT nonsense")))
    reply = app_site.fetch()("GET", "/api/articles/1")
    assert reply.status == 500
    assert reply.json()["error"]["message"] == "Something went wrong here."
    assert "nonsense" in caplog.text
    assert "Traceback" in caplog.text
