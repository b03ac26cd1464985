"""Django with sessions in signed cookies and its own forms; one module, as its documentation shows for small sites."""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

from django.core.wsgi import get_wsgi_application  # noqa: E402  # only after settings.configure
from django.http import HttpRequest, HttpResponse  # noqa: E402  # the same
from django.middleware.csrf import get_token  # noqa: E402  # the same
from django.urls import path  # noqa: E402  # the same
from django.views.decorators.csrf import csrf_exempt  # noqa: E402  # the same

import hotplate.cache  # noqa: E402  # the same
from tests.e2e.leaks import common  # noqa: E402  # the same


def _who(request: HttpRequest) -> Any:
    return request.session.get("name")


@csrf_exempt  # type: ignore[untyped-decorator]  # it has no types
def login(request: HttpRequest) -> HttpResponse:
    """Log in."""
    request.session["name"] = request.POST["name"]
    return HttpResponse("welcome")


def me(request: HttpRequest, _rest: str = "") -> HttpResponse:
    """Show who is logged in."""
    return HttpResponse(common.page(_who(request)))


def guess(request: HttpRequest) -> HttpResponse:
    """Read the session past the object that would note it and say Vary: Cookie."""
    return HttpResponse(common.page(request.session.load().get("name")))


def form(request: HttpRequest) -> HttpResponse:
    """Make a form: Django's own secret, masked anew for each response."""
    return HttpResponse(common.page(_who(request), f"secret[{get_token(request)}]"))


def hello(request: HttpRequest) -> HttpResponse:
    """Greet."""
    return HttpResponse(common.hello(request.headers.get("Accept-Language", "")))


def mistake(request: HttpRequest) -> HttpResponse:
    """Forget that the page is personal, and read it past the object that would note it."""
    return HttpResponse(common.page(request.session.load().get("name")), headers=common.MISTAKE)


def mistake_cookie(request: HttpRequest) -> HttpResponse:
    """Forget it and set a cookie."""
    value = common.fresh_cookie()
    response = HttpResponse(common.page(_who(request), f"cookie[{value}]"), headers=common.MISTAKE)
    response.set_cookie("seen", value)
    return response


def public_hello(request: HttpRequest) -> HttpResponse:
    """Greet, and say what it depends on."""
    greeting = common.hello(request.headers.get("Accept-Language", ""))
    return HttpResponse(greeting, headers={**common.PUBLIC, "Vary": "Accept-Language"})


@csrf_exempt  # type: ignore[untyped-decorator]  # it has no types
def article(request: HttpRequest, number: int) -> HttpResponse:
    """Show an article, or write it."""
    if request.method == "POST":
        return HttpResponse(common.write(number))
    hotplate.cache.tag(*common.tags(number))
    return HttpResponse(common.version(number), headers=common.PUBLIC)


@csrf_exempt  # type: ignore[untyped-decorator]  # it has no types
def write_elsewhere(_request: HttpRequest, number: int) -> HttpResponse:
    """Write it where its URL is not known."""
    written = common.write(number)
    hotplate.cache.invalidate(tag="articles")
    return HttpResponse(written)


urlpatterns = [
    path("login", login),
    path("me", me),
    path("guess", guess),
    path("account/<path:_rest>", me),
    path("form", form),
    path("hello", hello),
    path("mistake", mistake),
    path("mistake/cookie", mistake_cookie),
    path("public/hello", public_hello),
    path("article/<int:number>", article),
    path("api/<int:number>", write_elsewhere),
]
app = get_wsgi_application()
