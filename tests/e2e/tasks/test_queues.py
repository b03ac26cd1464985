"""Tasks that are sent into queues of their own are run, whoever named the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotplate.errors import ExitCode
from tests.e2e.tasks.conftest import Runs
from tests.e2e.tasks.test_only_tasks import tasks_only
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process
ROUTED = """
from flask import Flask
import hotplate.tasks

app = Flask(__name__)
celery = hotplate.tasks.celery(app, task_routes=[{"app.add*": {"queue": "sums"}}])

def note(text):
    with open("notes", "a") as notes:
        notes.write(text + "\\n")

@celery.task(queue="mail")
def mail(text):
    note(f"mail {text}")

@celery.task
def add(text):
    note(f"add {text}")

@celery.task
def plain(text):
    note(f"plain {text}")

@app.get("/")
def front():
    return "front"

@app.get("/send/<text>")
def send(text):
    for task in (mail, add, plain):
        task.delay(text)
    plain.apply_async((f"elsewhere {text}",), queue="elsewhere")
    return text
"""
FUNCTION = """
def chosen(name, *_args, **_kwargs):
    return {"queue": "chosen"}

celery.conf.task_routes = (chosen,)
"""


def test_tasks_run_from_the_queues_that_they_and_routes_name(run: Runs) -> None:
    """The default one besides; the line at the start names them, and a queue of the moment waits for who is told."""
    with run(ROUTED) as shop:
        assert shop.site.get("/send/one").status == 200
        for text in ("mail one", "add one", "plain one"):
            shop.until_noted(text)
        shop.site.until_logged("celery, mail, sums")
    assert "plain elsewhere one" not in shop.notes()
    with run(ROUTED, "--task-queues", "elsewhere") as shop:
        shop.until_noted("plain elsewhere one")


def test_only_the_queues_that_were_asked_for(tmp_path: Path, run: Runs) -> None:
    """One machine takes the mails, another one the rest, by a flag or a variable."""
    with run(ROUTED, HOTPLATE_TASK_QUEUES="celery,sums") as shop:
        assert shop.site.get("/send/one").status == 200
        shop.until_noted("plain one")
        shop.until_noted("add one")
    assert shop.notes("mail") == []
    with tasks_only(tmp_path, ROUTED, "--task-queues", "mail", "--task-queues", "elsewhere") as shop:
        shop.until_noted("mail one")
        shop.until_noted("plain elsewhere one")


def test_a_function_that_routes_is_told_of(run: Runs) -> None:
    """It cannot be asked before it sends; what to type is said, and does."""
    with run(ROUTED + FUNCTION) as shop:
        shop.site.until_logged("chosen (task_routes)")
        assert "--task-queues celery,mail,others" in shop.site.log.replace("\n", " ")
        assert shop.site.get("/send/one").status == 200
        shop.until_noted("mail one")
    assert shop.notes("plain") == []
    with run(ROUTED + FUNCTION, "--task-queues", "celery,mail,chosen") as shop:
        shop.until_noted("plain one")


def test_a_queue_that_the_app_would_not_make_is_refused(tmp_path: Path) -> None:
    """Its user has said that only those of task_queues exist."""
    source = ROUTED + '\ncelery.conf.update(task_create_missing_queues=False, task_queues={"mail": {}})\n'
    with tasks_only(tmp_path, source, "--task-queues", "mial") as shop:
        wait_until(shop.site.ended, what="it has ended")
        assert shop.site.process.returncode == ExitCode.USAGE
        assert "take tasks from the queue mial" in shop.site.log
