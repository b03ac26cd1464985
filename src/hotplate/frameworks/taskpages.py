"""What the pages of tasks have in common, whichever framework answers with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import status
from hotplate.tasks.status import Status
from hotplate.tasks.untyped import App

# Never kept by a cache, Hotplate's own or another; never taken for anything but JSON.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
JSON = "application/json"
UNKNOWN = b'{"error":"there is no task with such an id"}'
AWAY = b'{"error":"the status of tasks cannot be read at the moment"}'
RETRY_AFTER = "5"  # seconds


def page(app: App, text: str) -> tuple[int, bytes, dict[str, str]]:
    """Return status code, JSON and headers of a task's page.

    Args:
        app: the Celery app.
        text: the id in the URL.
    """
    identity = status.task_id(text)
    if identity is None:
        return 404, UNKNOWN, HEADERS
    try:
        return 200, status.encode(status.read(app, identity)), HEADERS
    except status.StatusUnavailableError:
        return 503, AWAY, {**HEADERS, "Retry-After": RETRY_AFTER}


def answer(known: Status, status_url: str) -> tuple[int, bytes, dict[str, str]]:
    """Return status code, JSON and headers of a response for a task that goes on, or that has run already.

    Args:
        known: of it.
        status_url: of its page, from the root of the host.
    """
    fields = msgspec.to_builtins(known) | {"status_url": status_url, "events_url": f"{status_url}/events"}
    return 200 if known.final else 202, msgspec.json.encode(fields), {**HEADERS, "Location": status_url}


def responder(app: App) -> Callable[[Status], Any]:
    """Return what makes a response within the request that is being answered.

    Args:
        app: the Celery app.

    Raises:
        HotplateError: USAGE; no framework is answering a request, or none that has the pages.
    """
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_request_context():
        from hotplate.frameworks import taskpages_flask

        return taskpages_flask.respond
    if getattr(app, "hotplate_pages", None) is not None:
        from hotplate.frameworks import taskpages_starlette

        return taskpages_starlette.responder(app)
    if "django.urls" in sys.modules:
        from hotplate.frameworks import taskpages_django

        return taskpages_django.respond
    raise no_pages("its app has no pages for it")


def no_pages(cause: str) -> HotplateError:
    """Return what to raise where no page could show a task's status.

    Args:
        cause: why.
    """
    return HotplateError(
        "answer with the status of a task",
        cause,
        "Give the web app to hotplate.tasks.celery(app), or hotplate.tasks.routes(app, celery) for a Celery you have.",
        code=ExitCode.USAGE,
    )
