"""Telling WSGI from ASGI."""

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from hotplate.apps.kind import detect, is_asgi2


def wsgi(environ: object, start_response: object) -> list[bytes]:
    """Be a WSGI app."""
    return []


async def asgi(scope: object, receive: object, send: object) -> None:
    """Be an ASGI app."""


class WsgiClass:
    """A response that is its own iterator, as PEP 3333 shows."""

    def __init__(self, environ: object, start_response: object) -> None: ...

    def __iter__(self) -> "WsgiClass":
        return self


class WsgiObject:
    """A callable object."""

    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        """Be a WSGI app."""
        return []

    def method(self, environ: object, start_response: object) -> list[bytes]:
        """Be a WSGI app, bound."""
        return []


class AsgiObject:
    """A callable object."""

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """Be an ASGI app."""


class Adapter:
    """An ASGI app around a WSGI one."""

    def __init__(self, app: object) -> None:
        self.app = app

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        """Be an ASGI app."""


class Asgi2:
    """An app of ASGI 2."""

    def __init__(self, scope: object) -> None: ...

    async def __call__(self, receive: object, send: object) -> None:
        """Be the second call."""


class Silent:
    """Middleware whose own shape says nothing."""

    def __init__(self, app: object) -> None:
        self.app = app

    def __call__(self, *args: object) -> object:
        """Be anything."""
        return self.app


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap it with its signature kept."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def bare(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap it with its signature lost."""

    def wrapper(*args: object) -> object:
        return function(*args)

    return wrapper


def with_config(config: object, environ: object, start_response: object) -> list[bytes]:
    """Be a WSGI app once its first argument is bound."""
    return []


async def asgi_with_config(config: object, scope: object, receive: object, send: object) -> None:
    """Be an ASGI app once its first argument is bound."""


def three_names_optional(environ: object, start_response: object, extra: object = None) -> list[bytes]:
    """Be a WSGI app with an option."""
    return []


async def async_anything(*args: object) -> None:
    """Be an ASGI app that hands everything on."""


class SubFlask(Flask):
    """A user's own Flask."""


flask_app = Flask("x")

ROWS: dict[str, tuple[object, str | None, str | None]] = {
    "Flask": (flask_app, "wsgi", "flask"),
    "a subclass of Flask": (SubFlask("x"), "wsgi", "flask"),
    "Flask's wsgi_app": (flask_app.wsgi_app, "wsgi", "flask"),
    "Flask in WSGI middleware": (ProxyFix(flask_app.wsgi_app), "wsgi", "flask"),
    "Flask in a WSGI-to-ASGI adapter": (Adapter(flask_app), "asgi", "flask"),
    "FastAPI": (FastAPI(), "asgi", "fastapi"),
    "Starlette": (Starlette(), "asgi", "starlette"),
    "FastAPI in ASGI middleware": (CORSMiddleware(FastAPI()), "asgi", "fastapi"),
    "Django's WSGI handler": (WSGIHandler.__new__(WSGIHandler), "wsgi", "django"),
    "Django's ASGI handler": (ASGIHandler.__new__(ASGIHandler), "asgi", "django"),
    "WSGI function": (wsgi, "wsgi", None),
    "WSGI class": (WsgiClass, "wsgi", None),
    "WSGI object": (WsgiObject(), "wsgi", None),
    "WSGI method": (WsgiObject().method, "wsgi", None),
    "WSGI lambda": (lambda environ, start_response: [environ, start_response], "wsgi", None),
    "WSGI with an option": (three_names_optional, "wsgi", None),
    "WSGI partial": (functools.partial(with_config, 1), "wsgi", None),
    "WSGI decorated": (decorated(wsgi), "wsgi", None),
    "WSGI decorated, signature lost": (bare(wsgi), "wsgi", None),
    "WSGI in silent middleware": (Silent(wsgi), "wsgi", None),
    "ASGI function": (asgi, "asgi", None),
    "ASGI object": (AsgiObject(), "asgi", None),
    "ASGI partial": (functools.partial(asgi_with_config, 1), "asgi", None),
    "ASGI decorated": (decorated(asgi), "asgi", None),
    "ASGI that takes anything": (async_anything, "asgi", None),
    "ASGI in silent middleware": (Silent(FastAPI()), "asgi", "fastapi"),
    "ASGI 2": (Asgi2, None, None),
    "text": ("app", None, None),
    "None": (None, None, None),
    "a class": (dict, None, None),
    "a view": (lambda request: request, None, None),
    "an async view": (functools.partial(asgi, 1), None, None),
}


@pytest.mark.parametrize(("app", "protocol", "framework"), ROWS.values(), ids=ROWS)
def test_detected(app: object, protocol: str | None, framework: str | None) -> None:
    """Each shape of app is told by its type or by how it can be called."""
    found = detect(app)
    assert (found.protocol, found.framework) == (protocol, framework)


def test_asgi2_is_recognised() -> None:
    """Only a class that takes a scope and is then called asynchronously is ASGI 2."""
    assert is_asgi2(Asgi2)
    assert not is_asgi2(WsgiClass)
    assert not is_asgi2(asgi)


def test_no_framework_is_imported() -> None:
    """Looking at a plain app imports no framework."""
    code = (
        "import sys; from hotplate.apps.kind import detect; detect(lambda environ, start_response: []); "
        "print([name for name in ('flask', 'fastapi', 'starlette', 'django', 'werkzeug') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
