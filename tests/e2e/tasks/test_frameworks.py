"""Django and FastAPI, through the real command: a request sends a task, and what comes of it is told by its page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.tasks.conftest import Runs, Shop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process
DJANGO = """
import os
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF="app", SECRET_KEY="not one", GREETING="hello from the settings",
    INSTALLED_APPS=["django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite"}},
)
from django.core.wsgi import get_wsgi_application
app = get_wsgi_application()

import hotplate.tasks
celery = hotplate.tasks.celery(app)

@celery.task
def double(number):
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    hotplate.tasks.progress(1, total=2)
    kinds = ContentType.objects.count()
    return {"twice": 2 * number, "greeting": settings.GREETING, "kinds": kinds, "pid": os.getpid()}

def send(request, number):
    return hotplate.tasks.accepted(double.delay(number), show_result=True)

urlpatterns = [
    path("", lambda request: HttpResponse("front")),
    path("send/<int:number>", send),
    path("-/tasks/", include("hotplate.frameworks.taskpages_django")),
]
"""
FASTAPI = """
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI
import hotplate.tasks

lived = []

@asynccontextmanager
async def lifespan(app):
    lived.append(os.getpid())
    yield

app = FastAPI(lifespan=lifespan)
celery = hotplate.tasks.celery(app)

@celery.task
def double(number: int):
    return {"twice": 2 * number, "lived": os.getpid() in lived, "pid": os.getpid()}

@app.get("/")
def front():
    return os.getpid() in lived

@app.get("/send/{number}")
async def send(number: int):
    return hotplate.tasks.accepted(double.delay(number), show_result=True)
"""


def result(shop: Shop, number: int) -> dict[str, Any]:
    """Send a task by a request, follow its page to the end, and return what that shows."""
    accepted = shop.site.get(f"/send/{number}")
    assert accepted.status == 202
    page = {name.lower(): value for name, value in accepted.headers.items()}["location"]
    path = page.partition("://")[2].partition("/")[2] if "://" in page else page.lstrip("/")

    def ended() -> dict[str, Any] | None:
        status: dict[str, Any] = json.loads(shop.site.get(f"/{path}").body)
        return status if status["final"] else None

    status = wait_until(ended, what=f"the task is done; log: {shop.site.folder}/log") or {}
    assert status["state"] == "done", status
    told: dict[str, Any] = status["result"]
    return told


def test_a_django_site(run: Runs) -> None:
    """Its settings and its database are there in the task, which runs in another process than its pages."""
    with run(DJANGO) as shop:
        assert shop.site.get().body == b"front"
        told = result(shop, 4)
        assert (told["twice"], told["greeting"], told["kinds"]) == (8, "hello from the settings", 1)
        assert told["pid"] not in shop.site.workers().values()


def test_a_fastapi_site(run: Runs) -> None:
    """An `async` view sends it; the lifespan is the web workers' alone."""
    with run(FASTAPI) as shop:
        assert shop.site.get().body == b"true"
        told = result(shop, 4)
        assert (told["twice"], told["lived"]) == (8, False)
        assert told["pid"] not in shop.site.workers().values()
