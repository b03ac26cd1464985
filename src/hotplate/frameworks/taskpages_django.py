"""Tasks of a Django site: URLs with their pages, to be included in the site's own.

Example:
    urlpatterns = [path("-/tasks/", include("hotplate.frameworks.taskpages_django")), ...]
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import NoReverseMatch, path, reverse
from django.views.decorators.http import require_safe

from hotplate.errors import ExitCode, HotplateError
from hotplate.frameworks import taskpages
from hotplate.tasks import status, stream
from hotplate.tasks.status import Status

app_name = "hotplate-tasks"


def respond(known: Status) -> HttpResponse:
    """Return the response for a task that goes on.

    Args:
        known: of it.

    Raises:
        HotplateError: USAGE; the site's URLs do not include the pages.
    """
    try:
        url = reverse(f"{app_name}:status", args=[known.id])
    except NoReverseMatch:
        raise HotplateError(
            "answer with the status of a task",
            "the site's URLs have no page for it",
            'Add path("-/tasks/", include("hotplate.frameworks.taskpages_django")) to urlpatterns.',
            code=ExitCode.USAGE,
        ) from None
    code, body, headers = taskpages.answer(known, url)
    return HttpResponse(body, status=code, headers=headers, content_type=taskpages.JSON)


def page(_: HttpRequest, text: str) -> HttpResponse:
    """Answer with the status of a task."""
    code, body, headers = taskpages.page(status.current(), text)
    return HttpResponse(body, status=code, headers=headers, content_type=taskpages.JSON)


def events(request: HttpRequest, text: str) -> Any:  # noqa: ANN401  # one of Django's responses
    """Answer with the status of a task as it changes."""
    identity = status.task_id(text)
    if identity is None:
        return HttpResponse(taskpages.UNKNOWN, status=404, headers=taskpages.HEADERS, content_type=taskpages.JSON)
    if stream.is_over(request.headers.get("Last-Event-ID")):
        return HttpResponse(status=204, headers=stream.HEADERS)
    # Django collects a synchronous stream under ASGI, and an asynchronous one under WSGI, before it sends it.
    follow = stream.frames_async if hasattr(request, "scope") else stream.frames
    return StreamingHttpResponse(follow(status.current(), identity), headers=stream.HEADERS, content_type=stream.TYPE)


urlpatterns = [
    path("<str:text>", require_safe(page), name="status"),
    path("<str:text>/events", require_safe(events), name="events"),
]
