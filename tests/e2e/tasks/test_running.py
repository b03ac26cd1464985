"""Tasks beside the requests: who runs them, and who survives when something is killed or told to go."""

from __future__ import annotations

import os
import signal
import threading

import psutil
import pytest

from tests.e2e.tasks.conftest import APP, SCHEDULED, Runs, Shop
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.process
PLAIN = """
import sys
from flask import Flask
app = Flask(__name__)

@app.get("/")
def front():
    return " ".join(sorted({name.partition(".")[0] for name in sys.modules} & {"celery", "kombu", "billiard"}))
"""


def test_a_request_hands_work_on_and_it_is_done(run: Runs) -> None:
    """One command, one line in the app: what a view sends is run, and the status tells."""
    with run() as shop:
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 1")
        wait_until(lambda: shop.crew()[0]["tally"]["succeeded"] == 1, what="it is counted")
        tasks = shop.site.status()["tasks"]
        assert (tasks["celery"], tasks["known"], tasks["workers"], tasks["beat"]) == ("app", 2, 1, False)
        shown = shop.site.command("status").stdout
        assert "1 at once" in shown
        assert "hotplate:////" in shown


def test_an_app_without_tasks_pays_nothing(run: Runs) -> None:
    """No process is started for it, and nothing of Celery is imported."""
    with run(PLAIN) as shop:
        assert shop.site.get().body == b""
        assert shop.site.status()["tasks"] is None
        assert "tasks" not in shop.site.log.lower()


def test_a_killed_tasks_process_is_replaced_and_its_task_done_again(run: Runs) -> None:
    """Whoever took a message and died before it was done did not take it for good."""
    with run() as shop:
        _hold(shop, "report")
        before = shop.pid()
        (child,) = psutil.Process(before).children()
        os.kill(before, signal.SIGKILL)
        shop.until_another(before)
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="no child is left")
        wait_until(lambda: shop.notes("begun") == ["begun report"] * 2, what="it is begun again")
        _let_go(shop)
        shop.until_noted("done report")
        assert shop.notes("done") == ["done report"]
        shop.site.until_logged("The tasks process (pid")


def test_a_killed_process_of_the_pool_costs_nobody_else_anything(run: Runs) -> None:
    """The task that it ran is run again, by the same tasks process; the web does not notice."""
    with run() as shop:
        _hold(shop, "report")
        main = shop.pid()
        psutil.Process(main).children()[0].kill()
        wait_until(lambda: len(shop.notes("begun")) == 2, what="it is begun again")
        _let_go(shop)
        shop.until_noted("done report")
        assert shop.pid() == main


def test_stop_lets_a_running_task_finish(run: Runs) -> None:
    """Within the grace, as requests are; nothing is begun meanwhile."""
    with run() as shop:
        processes = shop.site.tree()
        _hold(shop, "report")
        assert shop.site.get("/hold/next").status == 200
        stop = threading.Thread(target=lambda: shop.site.command("stop"))
        stop.start()
        shop.site.until_logged("Stopping")
        _let_go(shop)
        stop.join(60)
        assert shop.notes() == ["begun report", "done report"]
        assert shop.site.process.wait(60) == 0
        wait_until(lambda: not any(map(_alive, processes)), what="all have gone")
    with run() as shop:
        shop.until_noted("done next")


def test_a_task_that_outlasts_the_grace_is_given_back(run: Runs) -> None:
    """It is cut off, and said so; the next start runs it again, from its beginning."""
    with run(APP, "--grace", "1s") as shop:
        _hold(shop, "report")
        assert shop.site.command("stop").returncode == 0
        assert "1 unfinished task, which will run again" in shop.site.log
    assert not shop.notes("done")
    _let_go(shop)
    with run() as shop:
        shop.until_noted("done report")
        assert shop.notes("begun") == ["begun report"] * 2


def test_tasks_wait_where_none_are_run(run: Runs) -> None:
    """`--task-workers 0` is for machines that only send; what they send is run where it can be."""
    with run(SCHEDULED, "--task-workers", "0") as shop:
        assert shop.site.get("/write/letter").status == 200
        tasks = shop.site.status()["tasks"]
        assert (tasks["workers"], tasks["crew"]) == (0, [])
    assert shop.notes() == []
    with run() as shop:
        shop.until_noted("letter 1")


def test_the_web_serves_while_the_broker_is_away(run: Runs) -> None:
    """It is up at once, and healthy; the status says what the tasks process waits for."""
    port = free_port()
    with run(CELERY_BROKER_URL=f"redis://:hunter2@127.0.0.1:{port}/0") as shop:
        assert shop.site.get().body == b"1"
        wait_until(lambda: shop.crew()[0]["tally"]["problem"], what="the problem is told")
        shown = shop.site.command("status")
        assert shown.returncode == 0
        assert "waiting for it" in shown.stdout
        assert "hunter2" not in shown.stdout + shop.site.log
        shop.site.until_logged("waits for its broker")


def test_workers_import_the_tasks_by_themselves_where_forking_is_not_safe(run: Runs) -> None:
    """Without preload the first worker tells what tasks there are."""
    with run(SCHEDULED, "--preload", "off") as shop:
        shop.until_noted("tick 1")
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter 1")


def test_tasks_leave_with_a_killed_master(run: Runs) -> None:
    """Nobody is left behind: what runs is finished, then the tasks process ends."""
    with run() as shop:
        processes = shop.site.tree()
        _hold(shop, "report")
        shop.site.process.kill()
        _let_go(shop)
        shop.until_noted("done report")
        wait_until(lambda: not any(map(_alive, processes[1:])), what="all have gone")


def test_a_tasks_process_that_cannot_boot_leaves_the_web_alone(run: Runs) -> None:
    """It is tried again and again, with growing waits, and each line says why; the status is not 0 meanwhile."""
    broken = APP + _FAILING_IN_TASKS
    with run(broken, wait=False) as shop:
        wait_until(lambda: shop.site.ended() or "in short order" in shop.site.log, what="a crash loop")
        assert shop.site.get().body == b"1"
        assert "no model for tasks" in shop.site.log
        assert shop.site.command("status").returncode == 14
        (shop.site.folder / "mended").touch()
        shop.site.until_healthy()


def test_sleeping_web_workers_do_not_put_tasks_to_sleep(run: Runs) -> None:
    """What is scheduled goes on; the next request wakes the web workers."""
    with run(SCHEDULED, "--idle-timeout", "1s") as shop:
        shop.site.until_logged("No request for")
        wait_until(lambda: not shop.site.status()["workers"], what="the web workers have gone")
        so_far = len(shop.notes("tick"))
        wait_until(lambda: len(shop.notes("tick")) > so_far + 2, what="ticks go on")
        assert shop.site.get().body == b"1"
        assert shop.pid()


_FAILING_IN_TASKS = """
import setproctitle
from hotplate import warmup

@warmup
def model():
    if setproctitle.getproctitle().startswith("hotplate: tasks") and not os.path.exists("mended"):
        raise OSError("no model for tasks")
"""


def _hold(shop: Shop, text: str) -> None:
    """Have a task run that ends when it is let go."""
    (shop.site.folder / "hold").touch()
    assert shop.site.get(f"/hold/{text}").status == 200
    shop.until_noted(f"begun {text}")


def _let_go(shop: Shop) -> None:
    (shop.site.folder / "hold").unlink()


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
