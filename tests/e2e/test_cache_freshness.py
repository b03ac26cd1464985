"""After a write is acknowledged nobody reads what was there before: workers, machines, kills and reloads included."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.instance import Instance, instance
from tests.support.waiting import wait_until

APP = """
import fcntl, os
from flask import Flask, request
import hotplate

app = Flask(__name__)
SHARED = os.environ["SHARED"]

def path(name):
    return os.path.join(SHARED, name)

def read(name):
    try:
        with open(path(name)) as file:
            return file.read()
    except FileNotFoundError:
        return "0"

@app.get("/page/<name>")
def page(name):
    hotplate.cache.tag("page:" + name)
    text = read(name)
    return text, {"Cache-Control": "public, max-age=600, stale-while-revalidate=600, stale-if-error=600"}

@app.post("/write/<name>")
def write(name):
    with open(path("lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = str(int(read(name)) + 1)
        with open(path(name + ".new"), "w") as file:
            file.write(text)
        os.replace(path(name + ".new"), path(name))
    hotplate.cache.invalidate(tag="page:" + name)
    return text
"""
PAGES = 3


class Readers:
    """Clients that read and write pages and note whatever is older than what was acknowledged before they asked."""

    def __init__(self, sites: list[Instance], clients: int = 6) -> None:
        self.stale: list[str] = []
        self.refused: list[str] = []
        self.hits = 0
        self.read = 0
        self._sites = sites
        self._acknowledged = [0] * PAGES
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.more()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def more(self, count: int = 300) -> None:
        """Wait until `count` more pages were read."""
        begun = self.read
        wait_until(lambda: self.read > begun + count or self.stale, what="more answers")

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)
        connections = [site.connect() for site in self._sites]
        while not self._stop.is_set():
            connection = chance.choice(connections)
            try:
                (self._write if chance.random() < 0.05 else self._read)(connection, chance.randrange(PAGES))
            except (OSError, http.client.HTTPException):
                connection.close()  # a worker was killed; what it was asked is nobody's knowledge

    def _read(self, connection: http.client.HTTPConnection, page: int) -> None:
        with self._lock:
            least = self._acknowledged[page]
        connection.request("GET", f"/page/{page}")
        response = connection.getresponse()
        text = response.read().decode()
        with self._lock:
            self.read += 1
            self.hits += "; hit" in (response.headers.get("Cache-Status") or "")
            if response.status != 200:
                self.refused.append(f"{response.status} {text[:100]}")
            elif int(text) < least:
                self.stale.append(f"page {page}: {text} after {least}, {response.headers.get('Cache-Status')}")

    def _write(self, connection: http.client.HTTPConnection, page: int) -> None:
        connection.request("POST", f"/write/{page}", "")
        response = connection.getresponse()
        text = response.read().decode()
        if response.status == 200:
            with self._lock:
                self._acknowledged[page] = max(self._acknowledged[page], int(text))


def _undisturbed(_site: Instance) -> None:
    """Do nothing."""


def _killed(site: Instance) -> None:
    for slot, pid in list(site.workers().items()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda s=slot, p=pid: site.workers().get(s, p) != p, what="it is replaced")  # type: ignore[misc]  # binds now


def _reloaded(site: Instance) -> None:
    assert site.command("reload").returncode == 0


def _purged(site: Instance) -> None:
    assert site.command("cache", "purge", "--all").returncode == 0


DISTURBANCES: dict[str, Callable[[Instance], None]] = {
    "undisturbed": _undisturbed,
    "workers killed": _killed,
    "reloaded": _reloaded,
    "purged": _purged,
}


@pytest.mark.process
@pytest.mark.timeout(300)
def test_nothing_stale_after_an_acknowledged_write_on_one_machine(tmp_path: Path) -> None:
    """Whichever worker wrote and whichever is asked, and while workers are killed, reloaded and purged."""
    with instance(tmp_path, APP, "--workers", "2", env={"SHARED": str(tmp_path)}) as site, Readers([site]) as readers:
        for what, disturb in DISTURBANCES.items():
            disturb(site)
            readers.more()
            assert readers.stale == [], what
            assert readers.refused == [], what
    assert readers.hits > readers.read / 10


@pytest.mark.process
@pytest.mark.redis
@pytest.mark.timeout(300)
def test_nothing_stale_after_an_acknowledged_write_on_another_machine(tmp_path: Path, redis_url: str) -> None:
    """Two instances that share nothing but Redis are one site, as long as it answers in time."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    env = {"SHARED": str(tmp_path), "REDIS_URL": redis_url}
    flags = ("--workers", "2", "--release", "1")
    with (
        instance(folders[0], APP, *flags, env=env) as one,
        instance(folders[1], APP, *flags, env=env) as other,
        Readers([one, other]) as readers,
    ):
        for what, disturb in DISTURBANCES.items():
            disturb(other)
            readers.more()
            assert readers.stale == [], what
            assert readers.refused == [], what
    assert readers.hits > readers.read / 10
