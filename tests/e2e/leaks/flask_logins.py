"""Flask with Flask-Login; everything but who is logged in is as in flask_sessions."""

from __future__ import annotations

from typing import Any

from flask import Flask, make_response, request
from flask_login import LoginManager, UserMixin, current_user, login_user  # type: ignore[import-untyped]  # none of it

import hotplate.cache
from tests.e2e.leaks import common

app = Flask(__name__)
app.secret_key = "not a secret"
manager = LoginManager(app)


class User(UserMixin):  # type: ignore[misc]  # it has no types
    """Somebody."""

    def __init__(self, name: str) -> None:
        self.id = name


@manager.user_loader  # type: ignore[untyped-decorator]  # it has no types
def _load(name: str) -> User:
    return User(name)


def who() -> str | None:
    """Return who is logged in."""
    return current_user.get_id() if current_user.is_authenticated else None


@app.post("/login")
def login() -> str:
    """Log in, and stay."""
    login_user(User(request.form["name"]), remember=True)
    return "welcome"


@app.get("/me")
@app.get("/guess")
@app.get("/account/<path:_rest>")
def me(_rest: str = "") -> str:
    """Show who is logged in."""
    return common.page(who())


@app.get("/form")
def form() -> str:
    """Make a form."""
    return common.page(who(), common.form())


@app.get("/hello")
def hello() -> str:
    """Greet."""
    return common.hello(request.headers.get("Accept-Language", ""))


@app.get("/mistake")
def mistake() -> Any:
    """Forget that the page is personal, and have no word about cookies in it."""
    response = make_response(common.page(who()), common.MISTAKE)
    response.headers.pop("Vary", None)
    return response


@app.get("/mistake/cookie")
def mistake_cookie() -> Any:
    """Forget it and set a cookie."""
    value = common.fresh_cookie()
    response = make_response(common.page(who(), f"cookie[{value}]"), common.MISTAKE)
    response.set_cookie("seen", value)
    return response


@app.get("/public/hello")
def public_hello() -> Any:
    """Greet, and say what it depends on."""
    return common.hello(request.headers.get("Accept-Language", "")), {**common.PUBLIC, "Vary": "Accept-Language"}


@app.get("/article/<int:number>")
def article(number: int) -> Any:
    """Show an article."""
    return common.version(number), {**common.PUBLIC, "Cache-Groups": f'"articles", "article:{number}"'}


@app.post("/article/<int:number>")
def write(number: int) -> str:
    """Write it."""
    return common.write(number)


@app.post("/api/<int:number>")
def write_elsewhere(number: int) -> str:
    """Write it where its URL is not known."""
    written = common.write(number)
    hotplate.cache.invalidate(url=f"{request.host_url}article/{number}")
    return written
