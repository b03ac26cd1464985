"""The stampede: hundreds ask at once for one page that has expired, and the view runs once in all workers together."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.support.instance import Instance, instance
from tests.support.waiting import wait_until

CLIENTS = 500
SITE = """
import os, time
from flask import Flask, Response

app = Flask(__name__)

def note(name):
    descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\\n" % os.getpid())
    os.close(descriptor)

@app.get("/page")
def page():
    first = not os.path.exists("calls")
    note("calls")
    while os.path.exists("hold"):
        time.sleep(0.01)
    response = Response("page")
    response.headers["Cache-Control"] = "public, max-age=1" if first else "public, max-age=600"
    return response

@app.get("/stale")
def stale():
    note("calls")
    while os.path.exists("hold"):
        time.sleep(0.01)
    response = Response("page %d" % time.time_ns())
    response.headers["Cache-Control"] = "public, max-age=1, stale-while-revalidate=600"
    return response
"""


async def one(port: int, path: str) -> tuple[int, bytes]:
    """Ask once, on a connection of its own; return status and body, (0, b"") where the connection was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        try:
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        except ConnectionResetError:
            return 0, b""
        return (int(head.split()[1]), body) if head else (0, b"")
    finally:
        writer.close()


class Crowd:
    """Many clients, each on a connection of its own, in a thread beside the test."""

    def __init__(self, site: Instance, path: str, clients: int = CLIENTS) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self._clients = [(site.port, path)] * clients
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()))
        self._thread.start()

    async def _ask(self) -> None:
        self.answers = await asyncio.gather(*(one(*client) for client in self._clients))

    def all_answers(self) -> list[tuple[int, bytes]]:
        """Wait for all of them."""
        self._thread.join(100)
        return self.answers


def calls(folder: Path) -> list[str]:
    """Return the pids that ran the view, one for each time."""
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def expire(site: Instance, path: str) -> None:
    """Have the page stored, and wait until it is no longer fresh."""
    assert site.get(path).status == 200
    stored = time.monotonic()
    wait_until(lambda: time.monotonic() > stored + 1.1, what="a second has passed")


@pytest.mark.process
def test_500_clients_for_an_expired_page_are_one_call(tmp_path: Path) -> None:
    """Two workers, one call, 500 times 200."""
    with instance(tmp_path, SITE, "--workers", "2", "--cache-wait", "60s") as site:
        expire(site, "/page")
        before = len(calls(tmp_path))
        (tmp_path / "hold").touch()
        crowd = Crowd(site, "/page")
        wait_until(lambda: site.status()["totals"]["in_flight"] >= CLIENTS, what="all are in flight")
        (tmp_path / "hold").unlink()
        answers = crowd.all_answers()
        assert len(answers) == CLIENTS
        assert set(answers) == {(200, b"page")}
        assert len(calls(tmp_path)) - before == 1


@pytest.mark.process
def test_a_worker_that_is_killed_while_it_makes_the_page_holds_nobody_up(tmp_path: Path) -> None:
    """Its own clients are lost with it; those of the other worker get the page, which is made there."""
    with instance(tmp_path, SITE, "--workers", "2", "--cache-wait", "60s") as site:
        expire(site, "/page")
        before = len(calls(tmp_path))
        (tmp_path / "hold").touch()
        crowd = Crowd(site, "/page", 100)
        wait_until(lambda: site.status()["totals"]["in_flight"] >= 100, what="all are in flight")
        (leader,) = calls(tmp_path)[before:]
        lost = next(
            worker["traffic"]["in_flight"] for worker in site.status()["workers"] if worker["pid"] == int(leader)
        )
        os.kill(int(leader), signal.SIGKILL)
        (tmp_path / "hold").unlink()
        answers = crowd.all_answers()
        served = sum(answer == (200, b"page") for answer in answers)
        assert served >= 100 - lost
        assert served + sum(status == 0 for status, _body in answers) == 100
        assert len(calls(tmp_path)) - before <= 2


@pytest.mark.process
def test_a_stale_page_is_made_anew_once_while_all_are_served_at_once(tmp_path: Path) -> None:
    """Nobody waits for the refresh, and there is one at a time in all workers together."""
    with instance(tmp_path, SITE, "--workers", "2") as site:
        expire(site, "/stale")
        before = len(calls(tmp_path))
        (tmp_path / "hold").touch()
        answers = [answer for _ in range(3) for answer in Crowd(site, "/stale", 100).all_answers()]
        assert {status for status, _body in answers} == {200}
        old = {body for _status, body in answers}
        assert len(old) == 1
        wait_until(lambda: len(calls(tmp_path)) > before, what="it is being made anew")
        (tmp_path / "hold").unlink()
        wait_until(lambda: site.get("/stale").body not in old, what="the new one is served")
        assert len(calls(tmp_path)) - before <= 3


@pytest.mark.process
def test_a_reload_in_the_middle_loses_nobody(tmp_path: Path) -> None:
    """Workers that leave let those who wait in them have their page."""
    with instance(tmp_path, SITE, "--workers", "2", "--cache-wait", "60s") as site:
        expire(site, "/page")
        (tmp_path / "hold").touch()
        crowd = Crowd(site, "/page", 200)
        wait_until(lambda: site.status()["totals"]["in_flight"] >= 200, what="all are in flight")
        reloading = threading.Thread(target=lambda: site.command("reload"))
        reloading.start()
        wait_until(lambda: site.status().get("generation_pid") or True, what="it has been told")
        (tmp_path / "hold").unlink()
        answers = crowd.all_answers()
        reloading.join(100)
        assert len(answers) == 200
        assert {status for status, _body in answers} == {200}
