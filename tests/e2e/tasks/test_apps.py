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


def test_a_celery_app_of_somebody_elses_making_is_served(run: Runs) -> None:
    """It names no broker, so it gets the one that needs none; nothing of Hotplate is in the code."""
    with run(FOREIGN) as shop:
        assert shop.site.status()["tasks"]["celery"] == "shop"
        assert shop.site.get("/write/letter").status == 200
        shop.until_noted("letter")


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
