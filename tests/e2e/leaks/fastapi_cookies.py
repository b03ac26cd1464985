"""FastAPI with Starlette's cookie sessions, which never say Vary; and, where asked, with tokens in Authorization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware

import hotplate.cache
from tests.e2e.leaks import common


def _by_session(request: Request) -> str | None:
    return request.session.get("name")


def site(who: Callable[[Request], str | None] = _by_session) -> FastAPI:
    """Make the site.

    Args:
        who: tells who asks.
    """
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="not a secret")
    _personal(app, who)
    _mistaken(app, who)
    _shared(app)
    return app


async def asked_name(request: Request) -> str:
    """Return the name in a form; FastAPI's own way needs one more package."""
    return parse_qs((await request.body()).decode())["name"][0]


def _text(text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, media_type="text/html", headers=headers)


def _personal(app: FastAPI, who: Callable[[Request], str | None]) -> None:
    @app.post("/login")
    async def login(request: Request) -> Response:
        request.session["name"] = await asked_name(request)
        return _text("welcome")

    @app.get("/me")
    @app.get("/guess")
    @app.get("/account/{_rest:path}")
    async def me(request: Request) -> Response:
        return _text(common.page(who(request)))

    @app.get("/form")
    async def form(request: Request) -> Response:
        return _text(common.page(who(request), common.form()))

    @app.get("/hello")
    async def hello(request: Request) -> Response:
        return _text(common.hello(request.headers.get("Accept-Language", "")))


def _mistaken(app: FastAPI, who: Callable[[Request], str | None]) -> None:
    @app.get("/mistake")
    async def mistake(request: Request) -> Response:
        return _text(common.page(who(request)), common.MISTAKE)

    @app.get("/mistake/cookie")
    async def mistake_cookie(request: Request) -> Response:
        value = common.fresh_cookie()
        response = _text(common.page(who(request), f"cookie[{value}]"), common.MISTAKE)
        response.set_cookie("seen", value)
        return response


def _shared(app: FastAPI) -> None:
    @app.get("/public/hello")
    async def public_hello(request: Request) -> Response:
        greeting = common.hello(request.headers.get("Accept-Language", ""))
        return _text(greeting, {**common.PUBLIC, "Vary": "Accept-Language"})

    @app.get("/article/{number}")
    def article(number: int) -> Response:
        hotplate.cache.tag(*common.tags(number))
        return _text(common.version(number), common.PUBLIC)

    @app.post("/article/{number}")
    def write(number: int) -> Response:
        return _text(common.write(number))

    @app.post("/api/{number}")
    def write_elsewhere(number: int) -> Any:
        written = common.write(number)
        hotplate.cache.invalidate(tags=common.tags(number)[1:])
        return _text(written)


app = site()
