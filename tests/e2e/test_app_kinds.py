"""Apps that are hard to serve: unsafe to fork, with connections of their own, with a lifespan, in a factory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.instance import instance
from tests.support.waiting import wait_until

THREADED = """
import os, threading, time
from flask import Flask

app = Flask(__name__)
born = os.getpid()
ticks = []

def tick():
    while True:
        ticks.append(1)
        time.sleep(0.01)

threading.Thread(target=tick, name="ticker", daemon=True).start()

@app.get("/")
def page():
    return {"same": born == os.getpid(), "ticks": len(ticks)}
"""
CONNECTED = """
import os
from flask import Flask
from sqlalchemy import create_engine, text

app = Flask(__name__)
engine = create_engine(os.environ["DATABASE_URL"], pool_size=2)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS visits (pid INTEGER)"))

@app.get("/")
def page():
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO visits VALUES (:pid)"), {"pid": os.getpid()})
        return {"pid": os.getpid(), "visits": connection.scalar(text("SELECT count(*) FROM visits"))}

@app.get("/session")
def session():
    with engine.connect() as connection:
        return {"pid": os.getpid(), "backend": connection.scalar(text("SELECT pg_backend_pid()"))}
"""
FACTORY = """
from flask import Flask

def create_app(greeting="hello", *, times=1):
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: greeting * times)
    return app
"""
SILENT = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"no lifespan"})
"""
REFUSING = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is on fire"})
"""


def test_an_app_that_starts_a_thread_is_imported_by_each_worker(tmp_path: Path) -> None:
    """A thread does not survive a fork; the log says which, and in each worker it runs."""
    with instance(tmp_path, THREADED, "--workers", "2") as site:
        assert "ticker" in site.log
        workers = set(site.workers().values())
        assert len(workers) == 2
        for _ in range(8):
            seen = json.loads(site.get().body)
            assert seen["same"]
            wait_until(lambda: json.loads(site.get().body)["ticks"] > 1, what="the thread runs")
        assert site.command("reload").returncode == 0
        assert json.loads(site.get().body)["same"]


def test_an_engine_used_at_import_is_fine_in_workers_on_sqlite(tmp_path: Path) -> None:
    """Each worker opens its own connections."""
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/visits.db"}
    with instance(tmp_path, CONNECTED, "--workers", "2", env=env) as site:
        first = json.loads(site.get().body)["visits"]
        counts = [json.loads(site.get().body)["visits"] for _ in range(20)]
        assert counts == list(range(first + 1, first + 21))


@pytest.mark.postgres
def test_an_engine_used_at_import_is_fine_in_workers_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """No two workers share a server session, and none of the parent's was closed under it."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://").replace("postgres://", "postgresql+psycopg://")
    with instance(tmp_path, CONNECTED, "--workers", "2", env={"DATABASE_URL": url}) as site:
        sessions: set[tuple[int, int]] = set()

        def both_answered() -> bool:
            seen = json.loads(site.get("/session").body)
            sessions.add((seen["pid"], seen["backend"]))
            return len({pid for pid, _backend in sessions}) == 2

        wait_until(both_answered, what="both workers answered")
        backends = [{backend for pid, backend in sessions if pid == worker} for worker, _backend in sessions]
        assert len(set.union(*backends)) == len(sessions)
        assert "Traceback" not in site.log


@pytest.mark.parametrize(
    ("target", "answer"),
    [("app", b"hello"), ("app:create_app('ab', times=2)", b"abab"), ("app.py:create_app()", b"hello")],
)
def test_a_factory_is_served(tmp_path: Path, target: str, answer: bytes) -> None:
    """With and without arguments."""
    with instance(tmp_path, FACTORY, "--workers", "1", target=target) as site:
        assert site.get().body == answer


def test_an_asgi_app_without_a_lifespan_is_served(tmp_path: Path) -> None:
    """Raising means "I do not speak that" (ASGI, "Lifespan")."""
    with instance(tmp_path, SILENT, "--workers", "1") as site:
        assert site.get().body == b"no lifespan"
        assert "AssertionError" not in site.log


def test_a_lifespan_that_fails_stops_the_start(tmp_path: Path) -> None:
    """With the app's own words and the code for a worker that cannot boot."""
    with instance(tmp_path, REFUSING, "--workers", "1", wait=False) as site:
        assert site.process.wait(60) == 9
        assert "the database is on fire" in site.log
