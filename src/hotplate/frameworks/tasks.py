"""Celery around a web app: its context in the tasks, and pages that say how far a task is.

`hotplate.tasks.celery`, `hotplate.tasks.accepted` and `hotplate.tasks.routes` are these functions.
"""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from hotplate.apps.kind import known
from hotplate.errors import ExitCode, HotplateError
from hotplate.frameworks import taskpages
from hotplate.tasks import app as apps
from hotplate.tasks import status
from hotplate.tasks.untyped import Value

if TYPE_CHECKING:
    from hotplate.tasks.app import Application, WithoutBroker

PATH = "/-/tasks"  # GitLab's prefix `/-/`, which no framework routes by itself, as with the health check
_log = logging.getLogger("hotplate.tasks")


def celery(
    app: object = None,
    *,
    name: str = "",
    without_broker: WithoutBroker = "fail",
    status_path: str | None = PATH,
    **conf: Value,
) -> Application:
    """Return a `celery.Celery` whose tasks run within the web app, and that has a broker without being told of one.

    The broker is `CELERY_BROKER_URL`, else `REDIS_URL`, else a file on this machine. Settings are taken from the
    keywords, then the web app's configuration (Flask: `app.config["CELERY"]`), then Hotplate's defaults
    (hotplate/tasks/defaults.py says why each), then Celery's.

    Args:
        app: of Flask, FastAPI, Starlette or Django; it may be made several times, each with a Celery of its own.
        name: of the Celery app; otherwise Flask's name, or that of the calling module.
        without_broker: what `delay()` does while the broker is away: "fail" raises `BrokerUnreachable` within about a
            second; "run" runs the task at once in the calling process, for work that may take that long.
        status_path: where the pages for `accepted` are; None for none.
        **conf: settings of Celery's in lower case, such as `task_time_limit=60`.

    Raises:
        HotplateError: USAGE; a setting that Celery does not know, or a URL that cannot be used. MISSING_EXTRA; the
            package that speaks to the broker is not installed.

    Example:
        >>> celery(name="shop", task_time_limit=60).conf.task_acks_late
        True
    """
    if without_broker not in {"fail", "run"}:
        raise HotplateError(
            f"make a Celery app with without_broker={without_broker!r}",
            "it says neither how to fail nor to run",
            "Write without_broker='run' to run tasks at once while the broker is away, or leave it out.",
            code=ExitCode.USAGE,
        )
    made = apps.make(name or _name(app), without_broker, conf)
    if app is not None:
        attach(made, app, status_path)
    return made


def attach(made: Application, app: object, status_path: str | None = PATH) -> None:
    """Put a web app around the tasks of a Celery app, and its status pages into the web app.

    Args:
        made: the Celery app.
        app: the web app.
        status_path: see `celery`.

    Raises:
        HotplateError: USAGE; it is no app of a framework that is known.
    """
    framework = _framework(app)
    if framework is None:
        raise HotplateError(
            f"put a {type(app).__name__} around tasks",
            "it is no app of Flask, FastAPI, Starlette or Django",
            "Give that app, or none: hotplate.tasks.celery().",
            code=ExitCode.USAGE,
        )
    made.web = app
    if framework == "flask":
        from hotplate.frameworks import taskpages_flask

        made.configure_from(lambda: app.config)  # type: ignore[attr-defined]  # Flask's, as `_framework` has found
        made.surroundings.append(taskpages_flask.surrounding(app))
    if status_path is not None:
        routes(app, made, status_path)


def routes(app: object, celery: object = None, path: str = PATH) -> None:
    """Give a web app the pages `<path>/<id>` and `<path>/<id>/events`, for a Celery app that somebody else made, say.

    Django finds its routes in modules: write `path("-/tasks/", include("hotplate.frameworks.taskpages_django"))`.

    Args:
        app: of Flask, FastAPI or Starlette.
        celery: the Celery app; None for the current one.
        path: where.

    Raises:
        HotplateError: USAGE; the path is none, or the app is of another framework.
    """
    if not path.startswith("/") or path.endswith("/") or "<" in path or "{" in path:
        raise HotplateError(
            f"put status pages at {path!r}",
            "it is not a path such as /-/tasks",
            "Begin it with a slash, end it without one.",
            code=ExitCode.USAGE,
        )
    framework = _framework(app)
    if framework == "flask":
        from hotplate.frameworks import taskpages_flask

        taskpages_flask.add(app, celery, path)
    elif framework in {"fastapi", "starlette"}:
        from hotplate.frameworks import taskpages_starlette

        taskpages_starlette.add(app, celery, path)
    elif framework != "django":
        raise taskpages.no_pages("the app is of no framework that it knows")


def accepted(result: Any, *, show_result: bool = False) -> Any:  # noqa: ANN401  # Celery's result, the framework's response
    """Return a response that says: this goes on in the background, and here is how far it is (202, RFC 9110, 15.3.3).

    Its Location and its JSON lead to a page that says waiting, running, retrying, done, failed or cancelled, with the
    task's `progress`, and to the same as server-sent events. Neither the arguments nor why a task failed are shown.

    Args:
        result: what `delay()` returned.
        show_result: whether the page also shows what the task returns, to anybody who has its address.

    Raises:
        HotplateError: USAGE; there is no page that could say it, or nothing it could say.

    Example:
        @app.post("/newsletters/<int:newsletter_id>/send")
        def send(newsletter_id):
            return hotplate.tasks.accepted(send_newsletter.delay(newsletter_id))
    """
    celery_app, known_so_far = status.of_result(result)
    if show_result:
        try:
            status.show_result(celery_app, known_so_far.id)
        except status.StatusUnavailableError as problem:  # the task is on its way, so the answer is no error
            _log.warning("The result of task %s will not be shown: %s", known_so_far.id, problem)
    return taskpages.responder(celery_app)(known_so_far)


def _framework(app: object) -> str | None:
    kind = known(app)
    return kind.framework if kind else None


def _name(app: object) -> str:
    """Return Flask's name for its app, which is that of its module, or what Flask would call the caller's."""
    if app is not None and _framework(app) == "flask":
        return str(app.name)  # type: ignore[attr-defined]  # Flask's
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # inspect.stack() reads source files
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("hotplate."):
        frame = frame.f_back
    names = frame.f_globals if frame is not None else {}
    said = str(names.get("__name__", ""))
    if said == "__main__":
        said = str(names.get("__file__") or "").rpartition("/")[2].removesuffix(".py")
    return said or "app"


apps.Application.attach = staticmethod(attach)
