"""Which apps have tasks: any that has a Celery app, whoever made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.tasks.conftest import Runs
from tests.e2e.tasks.test_only_tasks import send, tasks_only

pytestmark = pytest.mark.process
FOREIGN = """
from celery import Celery, shared_task
from flask import Flask

app = Flask(__name__)
jobs = Celery("shop")
jobs.conf.broker_connection_retry_on_startup = True

@shared_task
def write(text):
    with open("notes", "a") as notes:
        notes.write(f"{text}\\n")

@app.get("/")
def front():
    return "front"

@app.get("/write/<text>")
def send_write(text):
    write.delay(text)
    return text
"""
NO_WEB = """
from celery import Celery
import hotplate.tasks

queue = hotplate.tasks.celery()

@queue.task(name="app.write")
def write(text):
    with open("notes", "a") as notes:
        notes.write(f"{text}\\n")
"""
SENDS = """
from celery import Celery
from flask import Flask

app = Flask(__name__)
jobs = Celery("shop")

@app.get("/")
def front():
    return "front"

@app.get("/send/<text>")
def send(text):
    jobs.send_task("app.write", (text,))
    return text
"""
TWO = """
from celery import Celery
import hotplate.tasks

queue = hotplate.tasks.celery()
mails = hotplate.tasks.celery(name="mails")

@queue.task(name="app.write")
def write(text): ...

@mails.task(name="app.mail")
def mail(text):
    with open("notes", "a") as notes:
        notes.write(f"{text}\\n")
"""


def test_a_celery_app_of_somebody_elses_making_is_served(run: Runs) -> None:
    """It names no broker, so it gets the one that needs none; nothing of Hotplate is in the code."""
    with run(FOREIGN) as shop:
        assert shop.site.status()["tasks"]["celery"] == "shop"
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter")


def test_an_app_that_only_sends_leaves_its_tasks_to_others(tmp_path: Path, run: Runs) -> None:
    """It has no task of its own, so it takes none: they wait for the machine that does; a number is an order."""
    with run(SENDS, "--task-workers", "auto") as shop:
        shop.site.until_logged("none run here")
        assert "none of its own; --task-workers 1" in " ".join(shop.site.log.split())
        assert shop.site.get("/send/letter").status == 200
        assert shop.crew() == []
    with tasks_only(tmp_path, NO_WEB.replace("celery()", 'celery(name="shop")'), target="app") as shop:
        shop.until_noted("letter")
    with run(SENDS) as shop:
        assert shop.pid()


def test_a_machine_for_tasks_of_an_app_without_any_does_not_start(tmp_path: Path) -> None:
    """Whether the app is imported before its processes are, or by them."""
    for flags in ((), ("--preload", "off")):
        with tasks_only(tmp_path, SENDS, "--task-workers", "auto", *flags) as shop:
            assert shop.site.process.wait(60) == 4
            assert "has none of its own" in " ".join(shop.site.log.split())


def test_of_two_celery_apps_the_other_one_is_told_of(tmp_path: Path) -> None:
    """What is to be typed for it runs it, beside the first."""
    with tasks_only(tmp_path, TWO, target="app") as shop:
        shop.site.until_logged("hotplate tasks run app:mails --name mails")
        with tasks_only(tmp_path, TWO, "--name", "mails", target="app:mails") as other:
            send(tmp_path, "letter", task="mail")
            other.until_noted("letter")


@pytest.mark.parametrize("target", ["app", "app:queue"])
def test_a_machine_for_tasks_needs_no_app_of_the_web(tmp_path: Path, target: str) -> None:
    """A module with a Celery app will do, by its name or the app's."""
    with tasks_only(tmp_path, NO_WEB, target=target) as shop:
        shop.site.until_healthy()
        send(tmp_path, "letter")
        shop.until_noted("letter")


def test_a_mistyped_celery_app_is_refused(tmp_path: Path) -> None:
    """What was named has to be there."""
    with tasks_only(tmp_path, NO_WEB, target="app:kueue") as shop:
        assert shop.site.process.wait(60) == 4
        assert "kueue" in shop.site.log
