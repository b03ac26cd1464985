"""Redis stopped, killed, frozen and started again under load: nobody gets an error, and nobody waits long for it."""

from __future__ import annotations

import http.client
import itertools
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.redis_control import PrivateRedis, private_redis
from tests.support.instance import Instance, instance
from tests.support.waiting import wait_until

APP = """
from flask import Flask

app = Flask(__name__)
made = []

@app.get("/page/<name>")
def page(name):
    made.append(name)
    return f"page {name}", {"Cache-Control": "public, max-age=600"}

@app.get("/own")
def own():
    return "own", {"Cache-Control": "no-store"}
"""
# What one look may take before the request goes on without Redis, in seconds; the setting's default.
BUDGET = 0.02


class Asked:
    """Keep-alive clients that ask for pages kept, pages never asked for before, and pages nobody may keep."""

    def __init__(self, site: Instance, clients: int = 4) -> None:
        self.errors: list[str] = []
        self.hits = 0
        self._times: list[float] = []
        self._site = site
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def typical(self, count: int = 200) -> float:
        """Return what a request took, median of the next `count`, in seconds."""
        begun = len(self._times)
        wait_until(lambda: len(self._times) > begun + count or self.errors, what="more answers")
        return statistics.median(self._times[begun:]) if len(self._times) > begun else 0.0

    def _run(self) -> None:
        connection = self._site.connect()
        while not self._stop.is_set():
            number = next(self._numbers)
            path = ("/page/kept", f"/page/{number}", "/own")[number % 3]
            began = time.perf_counter()
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(f"{path}: {error!r}")
                connection.close()
                continue
            self._times.append(time.perf_counter() - began)
            self.hits += "; hit" in (response.headers.get("Cache-Status") or "")
            if response.status != 200 or body != path.strip("/").replace("/", " "):
                self.errors.append(f"{path}: {response.status} {body[:100]}")


def _stop(redis: PrivateRedis) -> None:
    redis.stop()


def _kill(redis: PrivateRedis) -> None:
    redis.kill()


def _freeze(redis: PrivateRedis) -> None:
    redis.freeze()


OUTAGES: dict[str, tuple[Callable[[PrivateRedis], None], Callable[[PrivateRedis], None]]] = {
    "stopped": (_stop, PrivateRedis.start),
    "killed": (_kill, PrivateRedis.start),
    "frozen": (_freeze, PrivateRedis.thaw),
}


@pytest.mark.process
@pytest.mark.redis
@pytest.mark.timeout(300)
def test_redis_may_go_and_come_back_under_load(tmp_path: Path) -> None:
    """No request fails, none waits for a dead Redis, each change is one line of the log, and it heals by itself."""
    flags = ("--workers", "2")
    with private_redis() as redis, instance(tmp_path, APP, *flags, env={"REDIS_URL": redis.url}) as site:
        with Asked(site) as asked:
            usual = asked.typical()
            assert asked.hits > 0
            for name, (break_it, mend) in OUTAGES.items():
                downs, ups = site.log.count(" is not used"), site.log.count("answers again")
                break_it(redis)
                first = asked.typical()
                wait_until(lambda n=downs: site.log.count(" is not used") > n, what=f"{name} is told")  # type: ignore[misc]  # binds now
                known = asked.typical()
                mend(redis)
                wait_until(lambda n=ups: site.log.count("answers again") > n, what=f"the end of {name} is told")  # type: ignore[misc]  # binds now
                hits = asked.hits
                wait_until(lambda n=hits: asked.hits > n + 20, what="it is used again")  # type: ignore[misc]  # binds now
                assert asked.errors == [], name
                # Typical requests, and against this machine's own pace, for others may be using it.
                assert first < usual * 5 + BUDGET, (name, usual, first)
                assert known < usual * 5 + BUDGET, (name, usual, known)
                # A line for each worker and change; on a busy machine a Redis that is there may seem slow meanwhile.
                assert site.log.count(" is not used") - downs <= 20, site.log
        assert asked.errors == []
        assert "Traceback" not in site.log


@pytest.mark.process
@pytest.mark.redis
def test_a_redis_that_is_not_there_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """Without Redis a site starts and answers; when Redis comes, it is used."""
    with private_redis() as redis:
        redis.stop()
        with instance(tmp_path, APP, "--workers", "1", env={"REDIS_URL": redis.url}) as site:
            assert site.get("/page/a").body == b"page a"
            redis.start()
            site.until_logged("answers again")
            wait_until(lambda: "; hit" in site.get("/page/a").headers.get("cache-status", ""), what="a hit")
