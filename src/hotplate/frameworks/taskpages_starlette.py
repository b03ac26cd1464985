"""Tasks of a Starlette or FastAPI app: routes with their pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hotplate.frameworks import taskpages
from hotplate.tasks import status, stream
from hotplate.tasks.status import Status
from hotplate.tasks.untyped import App

_NAME = "hotplate-tasks"


def add(app: Any, celery: App, path: str) -> None:  # noqa: ANN401  # a Starlette or FastAPI
    """Give an app the pages, before its other routes: one of them may take every path.

    Args:
        app: the app.
        celery: the Celery app; None for the current one.
        path: of the pages.
    """
    if celery is None:
        celery = status.current()
    app.state.celery = celery
    celery.hotplate_pages = (app, path)
    if any(getattr(route, "name", "") == _NAME for route in app.router.routes):
        return
    app.router.routes[:0] = [
        Route(f"{path}/{{id}}", _status, name=_NAME, methods=["GET"], include_in_schema=False),
        Route(f"{path}/{{id}}/events", _events, name=f"{_NAME}-events", methods=["GET"], include_in_schema=False),
    ]


def responder(celery: App) -> Callable[[Status], Response]:
    """Return what makes a response for a task that goes on.

    Args:
        celery: the Celery app.
    """
    app, path = celery.hotplate_pages
    return lambda known: _Accepted(known, app, path)


class _Accepted(Response):
    """Knows its URLs once it is sent: where the app is mounted is in the scope, which no endpoint has to pass on."""

    media_type = taskpages.JSON

    def __init__(self, known: Status, app: object, path: str) -> None:
        self._known, self._app, self._path = known, app, path
        code, body, headers = taskpages.answer(known, f"{path}/{known.id}")
        super().__init__(body, code, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        if scope.get("app") is not self._app:  # an app mounted in the one that has the pages
            root = scope.get("app_root_path", root)
        if root:
            code, self.body, headers = taskpages.answer(self._known, f"{root.rstrip('/')}{self._path}/{self._known.id}")
            self.status_code = code
            self.headers.update({**headers, "Content-Length": str(len(self.body))})
        await super().__call__(scope, receive, send)


async def _status(request: Request) -> Response:
    code, body, headers = await run_in_threadpool(taskpages.page, request.app.state.celery, request.path_params["id"])
    return Response(body, code, headers, media_type=taskpages.JSON)


async def _events(request: Request) -> Response:
    identity = status.task_id(request.path_params["id"])
    if identity is None:
        return Response(taskpages.UNKNOWN, 404, taskpages.HEADERS, media_type=taskpages.JSON)
    if stream.is_over(request.headers.get("Last-Event-ID")):
        return Response(status_code=204, headers=stream.HEADERS)
    frames = stream.frames_async(request.app.state.celery, identity)
    return StreamingResponse(frames, headers={**stream.HEADERS, "Content-Type": stream.TYPE})
