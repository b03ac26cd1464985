"""Flask with its own sessions."""

from __future__ import annotations

from typing import Any

from flask import Flask, request, session

import hotplate.cache
from tests.e2e.leaks import common

app = Flask(__name__)
app.secret_key = "not a secret"


def _unseen() -> Any:
    """Read the session past the object that would note it and say Vary: Cookie."""
    return app.session_interface.open_session(app, request)


@app.post("/login")
def login() -> str:
    """Log in."""
    session["name"] = request.form["name"]
    return "welcome"


@app.get("/me")
@app.get("/account/<path:_rest>")
def me(_rest: str = "") -> str:
    """Read the session."""
    return common.page(session.get("name"))


@app.get("/guess")
def guess() -> str:
    """Only ask what is in the session, of which the Flask of CVE-2026-27205 told no cache."""
    return common.page(_unseen().get("name") if "name" in _unseen() else None)


@app.get("/form")
def form() -> str:
    """Make a form."""
    return common.page(session.get("name"), common.form())


@app.get("/hello")
def hello() -> str:
    """Greet."""
    return common.hello(request.headers.get("Accept-Language", ""))


@app.get("/mistake")
def mistake() -> Any:
    """Forget that the page is personal."""
    return common.page(_unseen().get("name")), common.MISTAKE


@app.get("/mistake/cookie")
def mistake_cookie() -> Any:
    """Forget it and set a cookie."""
    session["seen"] = common.fresh_cookie()
    return common.page(session.get("name"), f"cookie[{session['seen']}]"), common.MISTAKE


@app.get("/public/hello")
def public_hello() -> Any:
    """Greet, and say what it depends on."""
    return common.hello(request.headers.get("Accept-Language", "")), {**common.PUBLIC, "Vary": "Accept-Language"}


@app.get("/article/<int:number>")
def article(number: int) -> Any:
    """Show an article."""
    hotplate.cache.tag(*common.tags(number))
    return common.version(number), common.PUBLIC


@app.post("/article/<int:number>")
def write(number: int) -> str:
    """Write it."""
    return common.write(number)


@app.post("/api/<int:number>")
def write_elsewhere(number: int) -> str:
    """Write it where its URL is not known."""
    written = common.write(number)
    hotplate.cache.invalidate(tag=f"article:{number}")
    return written
