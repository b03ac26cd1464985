"""Reload with tasks: new code runs new tasks, nothing that was sent is lost, old code is not let go too soon."""

from __future__ import annotations

import os
import signal
import threading
from typing import Self

import pytest

from tests.e2e.tasks.conftest import APP, SCHEDULED, Runs, Shop
from tests.support.instance import HELLO
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process
SECOND = APP.replace('"1"', '"2"')
NEW_TASK = (
    SECOND
    + """
@celery.task
def greet(text):
    note(f"greeted {text} {VERSION}")

@app.get("/greet/<text>")
def send_greet(text):
    greet.delay(text)
    return text
"""
)


class Stream:
    """A client that has tasks sent without pause, each with a number of its own."""

    def __init__(self, shop: Shop) -> None:
        self.sent: list[str] = []
        self.failures: list[str] = []
        self._shop = shop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        self.more()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def more(self, count: int = 20) -> None:
        """Wait until `count` more were sent."""
        so_far = len(self.sent)
        wait_until(lambda: len(self.sent) >= so_far + count or self.failures, what="tasks are sent")

    def _send(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            answer = self._shop.site.get(f"/write/n{number}")
            if answer.status == 200:
                self.sent.append(f"n{number}")
            else:
                self.failures.append(f"{number}: status {answer.status}")


def test_a_reload_loses_no_task(run: Runs) -> None:
    """While tasks are sent without pause, every one of them is done once, and the last ones by the new version."""
    with run() as shop, Stream(shop) as stream:
        for version in ("2", "3"):
            shop.rewrite(APP.replace('"1"', f'"{version}"'))
            assert shop.site.command("reload").returncode == 0
            stream.more()
        stream.__exit__()
        assert stream.failures == []
        wait_until(lambda: len(shop.notes("n")) >= len(stream.sent), what="all are done")
        assert sorted(note.split()[0] for note in shop.notes("n")) == sorted(stream.sent)
        assert {note.split()[1] for note in shop.notes("n")} == {"1", "2", "3"}
        assert shop.notes("n")[-1].endswith(" 3")


def test_new_code_brings_new_tasks(run: Runs) -> None:
    """The tasks process knows a task before the first web worker can send it."""
    with run() as shop:
        before = shop.pid()
        shop.rewrite(NEW_TASK)
        assert shop.site.command("reload").returncode == 0
        for number in range(5):
            assert shop.site.get(f"/greet/g{number}").status == 200
        shop.until_noted("greeted g4 2")
        assert len(shop.notes("greeted")) == 5
        assert shop.pid() != before
        log = shop.site.log.split("Reloading", 1)[1]
        assert log.index("The tasks process is ready") < log.index("Reloaded")


def test_a_running_task_is_finished_by_the_old_version(run: Runs) -> None:
    """It neither holds the reload up nor is it begun again; new tasks do not wait for it."""
    with run() as shop:
        (shop.site.folder / "hold").touch()
        assert shop.site.get("/hold/report").status == 200
        shop.until_noted("begun report")
        shop.rewrite(SECOND)
        assert shop.site.command("reload").returncode == 0
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 2")
        assert [process["state"] for process in shop.crew()] == ["draining", "ready"]
        (shop.site.folder / "hold").unlink()
        shop.until_noted("done report")
        wait_until(lambda: len(shop.crew()) == 1, what="the old one has gone")
        assert shop.notes("begun") == ["begun report"]


def test_a_version_whose_tasks_cannot_run_leaves_the_old_one_serving(run: Runs) -> None:
    """Web workers and tasks go together: neither is of the new version then."""
    broken = SECOND + (
        "import setproctitle\nfrom hotplate import warmup\n@warmup\ndef model():\n"
        "    if setproctitle.getproctitle().startswith('hotplate: tasks'): raise OSError('no model for tasks')\n"
    )
    with run() as shop:
        before, web = shop.pid(), shop.site.workers()
        shop.rewrite(broken)
        outcome = shop.site.command("reload")
        assert outcome.returncode == 13
        assert "no model for tasks" in outcome.stderr
        assert (shop.pid(), shop.site.workers()) == (before, web)
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 1")
        shop.rewrite(SECOND)
        assert shop.site.command("reload").returncode == 0
        assert shop.site.get().body == b"2"


def test_a_version_can_gain_and_lose_tasks_and_a_schedule(run: Runs) -> None:
    """The processes for them come and go with it."""
    with run(HELLO) as shop:
        assert shop.site.status()["tasks"] is None
        for source, roles in ((SCHEDULED, ["tasks", "beat"]), (APP, ["tasks"]), (HELLO, [])):
            shop.rewrite(source)
            assert shop.site.command("reload").returncode == 0
            _until(shop, roles)
            assert shop.site.command("status").returncode == 0
        assert "tick 1" in shop.notes()


@pytest.mark.parametrize("preload", ["auto", "off"])
def test_a_dead_generation_takes_no_tasks_with_it(run: Runs, preload: str) -> None:
    """Its tasks process goes on until one of the next generation is there."""
    with run(APP, "--preload", preload) as shop:
        before = shop.pid()
        os.kill(shop.site.status()["generation_pid"], signal.SIGKILL)
        shop.until_another(before)
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 1")
        wait_until(lambda: shop.site.status()["healthy"], what="all is well")
        assert "The tasks process (pid" not in shop.site.log


def _until(shop: Shop, roles: list[str]) -> None:
    wait_until(lambda: _roles(shop) == roles, what=f"the crew is {roles}")


def _roles(shop: Shop) -> list[str]:
    tasks = shop.site.status()["tasks"]
    return [process["role"] for process in tasks["crew"] if process["state"] == "ready"] if tasks else []
