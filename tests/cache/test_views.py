"""`@hotplate.cached` on views: the function is called, and what it asked for becomes the response's rule."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Annotated, Any

import fastapi
import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import hotplate
from hotplate.cache.current import MAKING, Answering, ViewRule
from tests.cache.opened import open_cache
from tests.support.gateway_process import ROOT
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a cache of its own."""
    open_cache(monkeypatch)


class Session:
    """Something that cannot be compared by value, as dependencies often are."""


class Visits:
    """Counts how often a view has run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        """Count one more."""
        self.count += 1
        return f"visit {self.count}"


@hotplate.cached(ttl=60)
async def depended(number: int) -> list[int]:
    """Be what a view depends on."""
    return [number]


RULE: dict[str, Any] = {"ttl": "5m", "swr": 30, "tags": ("articles", "article:{number}"), "vary": ("Accept-Language",)}
Asks = Callable[[str, Answering | None], str]
Builds = Callable[[Visits], Any]


def flask_sync(visits: Visits) -> Any:
    """Build a Flask app."""
    app = flask.Flask("site")

    @app.route("/articles/<int:number>")
    @hotplate.cached(**RULE)
    def article(number: int) -> str:
        return visits()

    @app.route("/others/<int:number>")
    def other(number: int) -> str:
        return article(number)

    @app.route("/covered/<int:number>")
    @covering
    @hotplate.cached(**RULE)
    def covered(number: int) -> str:
        return visits()

    return app


def flask_async(visits: Visits) -> Any:
    """Build a Flask app with an async view."""
    app = flask.Flask("site")

    @app.route("/articles/<int:number>")
    @hotplate.cached(**RULE)
    async def article(number: int) -> str:
        await asyncio.sleep(0)
        return visits()

    return app


def fastapi_sync(visits: Visits) -> Any:
    """Build a FastAPI app with a dependency that cannot be compared."""
    app = fastapi.FastAPI()

    @app.get("/articles/{number}", response_class=fastapi.responses.PlainTextResponse)
    @hotplate.cached(**RULE)
    def article(number: int, session: Annotated[Session, fastapi.Depends(Session)]) -> str:
        assert type(session) is Session
        return visits()

    return app


def fastapi_async(visits: Visits) -> Any:
    """Build a FastAPI app with a dependency that is cached as the function it is."""
    app = fastapi.FastAPI()

    router = fastapi.APIRouter()

    @router.get("/articles/{number}", response_class=fastapi.responses.PlainTextResponse)
    @hotplate.cached(**RULE)
    async def article(number: int, found: Annotated[list[int], fastapi.Depends(depended)]) -> str:
        assert found == [number]
        return visits()

    app.include_router(router)
    return app


def starlette_sync(visits: Visits) -> Any:
    """Build a Starlette app, with a route inside of another app."""

    @hotplate.cached(ttl="5m", swr=30, tags=lambda request: ("articles", f"article:{request.path_params['number']}"),
                     vary="accept-language")  # fmt: skip
    def article(request: Request) -> PlainTextResponse:
        return PlainTextResponse(visits())

    return Starlette(routes=[Mount("/articles", routes=[Route("/{number:int}", article)])])


def starlette_async(visits: Visits) -> Any:
    """Build a Starlette app with an async view."""

    @hotplate.cached(ttl="5m", swr=30, tags=lambda request: ("articles", f"article:{request.path_params['number']}"),
                     vary="accept-language")  # fmt: skip
    async def article(request: Request) -> PlainTextResponse:
        return PlainTextResponse(visits())

    return Starlette(routes=[Route("/articles/{number:int}", article)])


def covering(view: Callable[..., Any]) -> Callable[..., Any]:
    """Stand above, as a check of who is logged in does."""
    from functools import wraps

    @wraps(view)
    def check(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return check


def ask(app: Any, path: str, answering: Answering | None) -> str:
    """Ask an app as the layer does, and return the body."""
    if isinstance(app, flask.Flask):

        def get() -> str:
            MAKING.set(answering)
            return app.test_client().get(path).text

        return copy_context().run(get)
    return asyncio.run(_ask_asgi(app, path, answering))


async def _ask_asgi(app: Any, path: str, answering: Answering | None) -> str:
    MAKING.set(answering)
    body = bytearray()
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "scheme": "http", "http_version": "1.1", "server": ("a", 80), "root_path": "",
    }  # fmt: skip
    if answering is not None:
        answering.scope = scope

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return body.decode()


BUILDS = [flask_sync, flask_async, fastapi_sync, fastapi_async, starlette_sync, starlette_async]
ALL = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)


@ALL
def test_a_view_is_called_and_its_response_gets_the_rule(build: Builds) -> None:
    """Behind a cache, a decorated view runs for every request that reaches it, and says how long its response keeps."""
    visits = Visits()
    app = build(visits)
    for count in (1, 2):
        answering = Answering({})
        assert ask(app, "/articles/7", answering) == f"visit {count}"
        rule = answering.rule
        assert rule is not None
        assert (rule.ttl, rule.swr, rule.vary) == (300.0, 30.0, ("accept-language",))
        assert rule.tags[:2] == ("article:7", "articles")
        assert any(tag.startswith("function:") and tag.endswith("article") for tag in rule.tags)


@ALL
def test_without_a_cache_in_front_it_is_a_plain_call(build: Builds) -> None:
    """Under another server, and in tests of the app, a decorated view behaves as if it were not decorated."""
    visits = Visits()
    app = build(visits)
    assert [ask(app, "/articles/7", None) for _ in range(3)] == ["visit 1", "visit 2", "visit 3"]


def test_a_view_called_by_another_is_a_function() -> None:
    """Only the view that answers gives the response its rule; called from another one it is a cached function."""
    visits = Visits()
    app = flask_sync(visits)
    answerings = [Answering({}), Answering({})]
    assert [ask(app, "/others/7", each) for each in answerings] == ["visit 1", "visit 1"]
    assert all(each.rule is None and {"articles", "article:7"} < each.tags for each in answerings)


def test_a_view_with_a_decorator_above_is_called(caplog: pytest.LogCaptureFixture) -> None:
    """Where a check stands above, nothing is kept, so that it is never skipped; that is said once."""
    visits = Visits()
    app = flask_sync(visits)
    for count in (1, 2):
        answering = Answering({})
        assert ask(app, "/covered/7", answering) == f"visit {count}"
        assert answering.rule is None
    assert caplog.text.count("another decorator stands above @hotplate.cached") == 1
    assert caplog.text.count("Put @hotplate.cached right below the route.") == 1


def test_a_views_calls_are_invalidated_by_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.invalidate` with a view's arguments, and without, names tags that the response has."""
    app = flask_sync(Visits())
    answering = Answering({})
    ask(app, "/articles/7", answering)
    cached = app.view_functions["article"]
    rule = answering.rule
    assert isinstance(rule, ViewRule)
    bumped: list[Any] = []
    from hotplate.cache import service
    from hotplate.cache.key import slot_of

    monkeypatch.setattr(service.current().store, "bump", bumped.extend)
    cached.invalidate(7)
    cached.invalidate(number=7)
    cached.invalidate()
    assert set(bumped) == {slot_of(tag) for tag in rule.tags if tag.startswith(("call:", "function:"))}


def test_functions_called_in_a_view_give_it_their_tags() -> None:
    """A response depends on what the cached functions in it depend on, whether they ran or not."""
    app = flask.Flask("site")

    @hotplate.cached(ttl=60, tags="stock:{item}")
    def stock(item: int) -> int:
        return item

    @app.route("/")
    def page() -> str:
        hotplate.cache.tag("front")
        return str(stock(7))

    for _ in range(2):
        answering = Answering({})
        assert ask(app, "/", answering) == "7"
        assert answering.rule is None
        assert {"front", "stock:7"} < answering.tags


def test_refreshing_in_the_background_has_the_apps_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that needs Flask's app context has it when it is refreshed after the request."""
    _, clock = open_cache(monkeypatch)
    app = flask.Flask("site")
    calls: list[str] = []

    @hotplate.cached(ttl=10, swr=100)
    def city() -> str:
        calls.append(flask.current_app.config["CITY"])
        return calls[-1]

    app.config["CITY"] = "Bonn"

    @app.route("/")
    def page() -> str:
        return city()

    assert ask(app, "/", None) == "Bonn"
    app.config["CITY"] = "Berlin"
    clock.ahead = 20.0
    assert ask(app, "/", None) == "Bonn"
    wait_until(lambda: len(calls) == 2 and ask(app, "/", None) == "Berlin", what="it was refreshed")


def test_invalidating_a_path_in_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a view a path is enough: the host is the request's; both schemes and both ways to write it are one."""
    from hotplate.cache import service
    from hotplate.cache.key import Url, slot_of, tag_of

    app = flask.Flask("site")

    @app.route("/")
    def change() -> str:
        hotplate.cache.invalidate(url="/märz?a=b c")
        return "done"

    bumped: list[Any] = []
    monkeypatch.setattr(service.current().store, "bump", bumped.extend)
    ask(app, "/", Answering({"headers": [(b"host", b"shop.example")]}))
    app.test_client().get("/", headers={"Host": "shop.example"})
    hotplate.cache.invalidate(url="https://shop.example/m%C3%A4rz?a=b%20c#part")
    wanted = [slot_of(tag_of(Url(scheme, b"shop.example", b"/m%C3%A4rz", b"a=b%20c"))) for scheme in ("http", "https")]
    assert sorted(bumped) == sorted(wanted * 3)


def test_django_views() -> None:
    """Django's view is known by the request it is given; a class's view is decorated whole."""
    source = """
import django
from django.conf import settings
settings.configure(ROOT_URLCONF="__main__", SECRET_KEY="x", ALLOWED_HOSTS=["*"])
django.setup()
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views import View
import hotplate
from hotplate.cache.current import MAKING, Answering
count = []

@hotplate.cached(ttl="5m", tags="article:{number}")
def article(request, number):
    count.append(1)
    return HttpResponse(f"visit {len(count)}")

@hotplate.cached(ttl="5m")
async def later(request):
    count.append(1)
    return HttpResponse(f"visit {len(count)}")

class Page(View):
    def get(self, request):
        count.append(1)
        return HttpResponse(f"visit {len(count)}")

urlpatterns = [path("a/<int:number>", article), path("b", later), path("c", hotplate.cached(ttl=60)(Page.as_view()))]
for number, (url, answering) in enumerate(
    [(url, made) for url in ("/a/7", "/b", "/c") for made in (None, Answering({}), Answering({}))], start=1
):
    MAKING.set(answering)
    assert Client().get(url).content == b"visit %d" % number, url
    assert (answering is None) or answering.rule is not None, url
    assert answering is None or url != "/a/7" or "article:7" in answering.rule.tags
assert "flask" not in __import__("sys").modules
"""
    ended = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_framework_is_imported() -> None:
    """Decorating a function imports no framework."""
    source = """
import hotplate, sys
@hotplate.cached(ttl=60)
def f(): return 1
assert f() == 1
print({"flask", "django", "starlette", "fastapi", "pydantic", "redis", "lmdb"} & set(sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "set()\n"
