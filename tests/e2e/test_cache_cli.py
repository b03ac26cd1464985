"""`hotplate cache` with the real command: what it says of pages that real clients asked for, and what a deploy does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from email.message import Message
from typing import Any

import pytest

from hotplate.errors import ExitCode
from tests.cli.command import Done, Hotplate, Running, environment
from tests.support.services import Service
from tests.support.waiting import DEADLINE, wait_until

APP = """
import os, subprocess, sys
from flask import Flask, make_response, request, session

app = Flask(__name__)
app.secret_key = "x"
VERSION = "one"

@app.get("/")
def front():
    return "front"

@app.get("/articles/<int:number>")
def article(number):
    answer = make_response(f"{VERSION} {number} {os.getpid()} " + "." * 300)
    answer.headers["Cache-Control"] = "public, max-age=600"
    answer.headers["Cache-Groups"] = '"articles"'
    return answer

@app.post("/articles/<int:number>")
def change(number):
    return "changed"

@app.get("/login")
def login():
    session["user"] = 1
    return "welcome"

@app.get("/child")
def child():
    code = "import hotplate.cache; hotplate.cache.invalidate(tag='articles')"
    return str(subprocess.run([sys.executable, "-c", code]).returncode)
"""


class Site:
    """A running instance with its client and its operator.

    Args:
        command: in its folder.
        running: the instance.
    """

    def __init__(self, command: Hotplate, running: Running) -> None:
        self.command = command
        self.address = running.address

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[str, Message]:
        """Return a page and its fields."""
        asked = urllib.request.Request(f"{self.address}{path}", method=method, headers=headers)  # noqa: S310  it is http
        with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:  # noqa: S310  it is http
            return str(answer.read().decode()), answer.headers

    def cache(self, *words: str) -> Done:
        """Run `hotplate cache`."""
        return self.command.run("cache", *words)

    def told(self, *words: str) -> Any:
        """Run `hotplate cache ... --json`."""
        done = self.cache(*words, "--json")
        assert done.status == ExitCode.OK, done.err
        return json.loads(done.out)

    def stored(self, path: str) -> bool:
        """Have a page stored, and say whether it is."""
        self.get(path)
        return bool(wait_until(lambda: self.told("explain", path)["stored"], what=f"{path} is stored"))


@pytest.fixture
def site(hotplate: Hotplate) -> Site:
    """An instance with two workers."""
    hotplate.write(app=APP)
    return Site(hotplate, hotplate.serve("--workers", "2"))


@pytest.mark.process
def test_from_request_to_purge(site: Site) -> None:
    """Explain follows a page: not there, stored by a request, purged by hand, and why."""
    assert site.told("explain", "/articles/7")["state"] == "absent"
    assert site.stored("/articles/7")
    found = site.told("explain", f"{site.address}/articles/7")
    assert (found["state"], found["status"], found["tags"], found["everyone"]) == ("fresh", 200, ["articles"], True)
    assert found["cache_status"].startswith("hotplate; hit; ttl=")
    assert "hit" in site.get("/articles/7")[1]["Cache-Status"]
    purged = site.told("purge", f"{site.address}/articles/7")
    assert (purged["kind"], purged["entries"]) == ("url", 1)
    found = site.told("explain", "/articles/7")
    assert (found["stored"], found["invalidation"]["by"]) == (False, "hotplate cache purge")
    assert "Cache-Status" not in site.get("/articles/7")[1]  # made anew


@pytest.mark.process
def test_what_invalidates_is_named(site: Site) -> None:
    """A POST to the page, a tag from a child process of the app, and a purge of everything: explain names each."""
    assert site.stored("/articles/7")
    site.get("/articles/7", method="POST")
    found = site.told("explain", "/articles/7")
    assert (found["stored"], found["invalidation"]["by"]) == (False, "POST /articles/7")
    assert site.stored("/articles/7")
    assert site.get("/child")[0] == "0"
    found = site.told("explain", "/articles/7")
    assert (found["stored"], found["invalidation"]["what"]) == (False, "articles")
    assert found["why"] == "nothing is stored; what was has been invalidated"
    stats = site.told("stats")
    assert stats["last_invalidation"]["what"] == "articles"
    assert stats["invalidations"] >= 1
    assert site.stored("/articles/7")
    assert site.cache("purge", "--all").status == ExitCode.OK
    assert site.told("explain", "/articles/7")["invalidation"]["kind"] == "all"


@pytest.mark.process
def test_why_it_is_not_kept(site: Site) -> None:
    """With --ask the app's answer is judged: what keeps it out, and what would have it kept; no cookie is shown."""
    found = site.told("explain", "/", "--ask")
    assert (found["answer"]["kept"], found["answer"]["status"]) == (False, 200)
    assert found["answer"]["why"] == "the response does not say how long it is fresh"
    assert "max-age=60" in found["answer"]["advice"]
    done = site.cache("explain", "/login", "--ask")
    assert "not kept: the response sets a cookie" in done.out
    assert "set-cookie: session=..." in done.out
    found = site.told("explain", "/articles/9", "--ask")
    assert (found["answer"]["kept"], found["stored"]) == (True, True)


@pytest.mark.process
def test_a_deploy_shows_no_page_of_the_old_code(site: Site) -> None:
    """After a reload with new code the old pages are not found; with the old code again they are."""
    assert site.stored("/articles/7")
    old = site.told("stats")["releases"]
    path = site.command.folder / "app.py"
    path.write_text(path.read_text().replace('"one"', '"two"'))
    assert site.command.run("reload").status == ExitCode.OK
    assert site.get("/articles/7")[0].startswith("two 7 ")
    new = site.told("stats")["releases"]
    assert len(old) == len(new) == 1
    assert old != new
    path.write_text(path.read_text().replace('"two"', '"one"'))
    assert site.command.run("reload").status == ExitCode.OK
    body, fields = site.get("/articles/7")
    assert body.startswith("one 7 ")
    assert "hit" in fields["Cache-Status"]
    assert site.told("stats")["releases"] == old


@pytest.mark.process
def test_one_line_in_status_and_stats(site: Site) -> None:
    """`hotplate status` has a line about the cache, and counts what was answered from it."""
    assert site.stored("/articles/7")
    for _ in range(9):
        site.get("/articles/7")
    told = wait_until(lambda: site.told("stats")["hits"] >= 9 and site.told("stats"), what="hits are counted")
    assert told["hit_ratio"] >= 0.5
    assert told["store"]["entries"] >= 1
    line = next(line for line in site.command.run("status").out.splitlines() if line.startswith("  Cache"))
    assert "headers, " in line
    assert "% hits, this machine's store" in line
    assert "of 256 MiB" in line


@pytest.mark.process
@pytest.mark.redis
def test_with_redis(hotplate: Hotplate, redis_service: Service) -> None:
    """With Redis the same commands look into it and empty it for all; when it is gone, purge says so and fails."""
    hotplate.write(app=APP)
    site = Site(hotplate, hotplate.serve("--workers", "2", env={"REDIS_URL": redis_service.url}))
    assert site.stored("/articles/7")
    assert site.told("stats")["store"]["kind"] == "redis"
    purged = site.told("purge", f"{site.address}/articles/7")
    assert purged["entries"] == 1
    assert "all machines" in purged["where"]
    assert not site.told("explain", "/articles/7")["stored"]
    body = site.get("/articles/8")[0]
    wait_until(lambda: site.get("/articles/8")[0] == body, what="a stored page is answered")
    assert site.cache("purge", "--tag", "articles").status == ExitCode.OK
    assert not site.told("explain", "/articles/8")["stored"]
    os.kill(redis_service.pid, signal.SIGSTOP)
    try:
        done = site.cache("purge", "--all")
        assert done.status == ExitCode.FAILED
        assert "its store does not answer" in done.error
        assert site.get("/articles/8")[0].startswith("one 8 ")
    finally:
        os.kill(redis_service.pid, signal.SIGCONT)


REFUSED = {
    "nothing to purge": (("purge",), ExitCode.USAGE, "not said what"),
    "two things to purge": (("purge", "/", "--all"), ExitCode.USAGE, "contradicts"),
    "an empty tag": (("purge", "--tag", ""), ExitCode.USAGE, "it is empty"),
    "a header in a URL": (("explain", "/x\r\nX-Y: 1"), ExitCode.USAGE, "control characters"),
    "a header in a header": (("explain", "/", "--header", "A: b\r\nX-Y: 1"), ExitCode.USAGE, "control characters"),
    "a mistyped command": (("purg",), ExitCode.USAGE, "Did you mean hotplate cache purge?"),
    "a mistyped flag": (("stats", "--jsn"), ExitCode.USAGE, "Did you mean --json?"),
    "no URL": (("explain",), ExitCode.USAGE, "hotplate cache explain"),
    "nobody there": (("stats",), ExitCode.NOT_RUNNING, "none is running"),
    "nobody of that name": (("explain", "/", "--name", "blue"), ExitCode.NOT_RUNNING, "named blue"),
}


@pytest.mark.parametrize(("words", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_refusals(hotplate: Hotplate, words: tuple[str, ...], code: ExitCode, said: str) -> None:
    """What cannot be done is one line with its exit code, and nothing was done."""
    done = hotplate.run("cache", *words)
    assert (done.status, done.out) == (code, "")
    assert said in done.error


@pytest.mark.process
def test_a_bad_rule_stops_the_start(hotplate: Hotplate) -> None:
    """It is quoted, before anything is started."""
    hotplate.write(app=APP)
    done = hotplate.run("run", "--cache-routes", "/articles/* ttl=soon")
    assert done.status == ExitCode.USAGE
    assert "'/articles/* ttl=soon'" in done.error
    assert "is not a duration" in done.error


@pytest.mark.process
def test_a_platforms_redis_is_no_reason_not_to_start(hotplate: Hotplate) -> None:
    """Without the packages for it, REDIS_URL is passed over and told so; one that was asked for is refused."""
    hotplate.write(app=APP)
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'redis' else real(name, *more)\n"
        "from hotplate.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    asked = [sys.executable, "-c", code, "run", "--bind", "127.0.0.1:0"]
    environ = environment({"REDIS_URL": "redis://:hunter2@127.0.0.1:1"})
    done = subprocess.run(
        [*asked, "--redis-url", "redis://:hunter2@127.0.0.1:1"],
        cwd=hotplate.folder, env=environ, capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == ExitCode.MISSING_EXTRA
    assert "pip install 'hotplate[redis]'" in done.stderr
    assert "hunter2" not in done.stderr
    log = hotplate.folder / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(asked, cwd=hotplate.folder, env=environ, stderr=err)
    hotplate.running.append(Running(process, log))
    said = hotplate.running[-1].wait_for("Serving on ")
    assert "not in the Redis of REDIS_URL" in said
    assert "hunter2" not in said
