"""Tasks of a Flask app: its context around each, and a blueprint with their pages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flask

from hotplate.errors import HotplateError
from hotplate.frameworks import taskpages
from hotplate.tasks import status, stream
from hotplate.tasks.status import Status
from hotplate.tasks.untyped import App

_NAME = "hotplate_tasks"


def surrounding(app: Any) -> Callable[[bool], AbstractContextManager[object]]:  # noqa: ANN401  # a Flask, maybe a subclass
    """Return what gives each task an application context, as a request has one.

    A task that is called like a function, or run at once, shares the one of its caller: what it changes in
    `db.session` belongs to the same work, and a second context's end would take the session from the first.

    Args:
        app: the Flask app.
    """

    def enter(alone: bool) -> AbstractContextManager[object]:  # noqa: FBT001  # `Surrounding`
        # Alone there may be a context, too: of a module that was imported within one, and never left it.
        if not alone and flask.has_app_context() and flask.current_app == app:
            return nullcontext()
        context: AbstractContextManager[object] = app.app_context()
        return context

    return enter


def add(app: Any, celery: App, path: str) -> None:  # noqa: ANN401  # a Flask
    """Give a Flask app the pages, and its Celery a place where Flask's documentation has it.

    Args:
        app: the Flask app.
        celery: the Celery app; None for the one in `app.extensions`.
        path: of the pages.
    """
    if celery is not None:
        app.extensions["celery"] = celery
    if _NAME in app.blueprints:
        return
    pages = flask.Blueprint(_NAME, __name__, url_prefix=path)
    pages.add_url_rule("/<id>", "status", _status, methods=["GET"])
    pages.add_url_rule("/<id>/events", "events", _events, methods=["GET"])
    app.register_blueprint(pages)


def respond(known: Status) -> flask.Response:
    """Return the response for a task that goes on.

    Args:
        known: of it.

    Raises:
        HotplateError: USAGE; the app has no pages.
    """
    if _NAME not in flask.current_app.blueprints:
        raise taskpages.no_pages("the Flask app has no pages for it")
    code, body, headers = taskpages.answer(known, flask.url_for(f"{_NAME}.status", id=known.id))
    return flask.Response(body, code, headers, content_type=taskpages.JSON)


def _celery() -> App:
    found = flask.current_app.extensions.get("celery")
    if found is None:
        raise _missing()
    return found


def _missing() -> HotplateError:
    return taskpages.no_pages('app.extensions["celery"] is not there')


def _status(id: str) -> flask.Response:  # noqa: A002  # the name in the URL
    code, body, headers = taskpages.page(_celery(), id)
    return flask.Response(body, code, headers, content_type=taskpages.JSON)


def _events(id: str) -> flask.Response:  # noqa: A002  # the name in the URL
    identity = status.task_id(id)
    if identity is None:
        return flask.Response(taskpages.UNKNOWN, 404, taskpages.HEADERS, content_type=taskpages.JSON)
    if stream.is_over(flask.request.headers.get("Last-Event-ID")):
        return flask.Response(status=204, headers=stream.HEADERS)
    return flask.Response(stream.frames(_celery(), identity), 200, stream.HEADERS, content_type=stream.TYPE)
