"""Which cached function is the view that is answering: Flask, Django, Starlette and FastAPI each say it elsewhere.

No framework is imported here: whoever serves one has imported it. `hotplate.cached` is taken from here, so that a view
is recognised wherever the decorator is used, with a cache in front of the app or without one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

from hotplate.cache.current import Hooks, Role
from hotplate.cache.functions.decorator import cached

__all__ = ["cached", "recognise", "surroundings"]

_DEEPEST = 50  # decorators above one view
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_ROUTED = "_hotplate_is_routed"


def recognise(function: Callable[..., Any], values: tuple[Any, ...], scope: Mapping[str, Any] | None) -> Role:
    """Return what a cached function is in the request that is being answered.

    Args:
        function: what stands in its place.
        values: it is called with.
        scope: of the request, where a cache is in front of the app.
    """
    if scope is not None and "endpoint" in scope:
        return _role(function, scope["endpoint"])
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_request_context():
        return _role(function, flask.current_app.view_functions.get(flask.request.endpoint))
    for value in values:
        if type(value) in _SCALARS:
            continue
        match = getattr(value, "resolver_match", None)
        if match is not None:
            return _role(function, match.func)
        given = getattr(value, "scope", None)
        if isinstance(given, Mapping) and "endpoint" in given:
            return _role(function, given["endpoint"])
    if "starlette.routing" in sys.modules and (_is_called_by_router() or _is_routed(function)):
        return Role.VIEW
    return Role.PLAIN


def _role(function: Callable[..., Any], view: object) -> Role:
    """Compare a function with the view; what decorators have put above it is seen where they say what they wrap."""
    if view is function:
        return Role.VIEW
    for _ in range(_DEEPEST):
        view = getattr(view, "__wrapped__", None)
        if view is function:
            return Role.COVERED
        if view is None:
            break
    return Role.PLAIN


def _is_called_by_router() -> bool:
    """Whether FastAPI's router itself is the caller, as it is of endpoints and not of what they depend on."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # inspect.stack() reads source files
    while frame is not None and frame.f_globals.get("__name__", "").startswith("hotplate."):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") == "fastapi.routing"


def _is_routed(function: Callable[..., Any]) -> bool:
    """Whether a route of Starlette's leads to a function, where the scope does not tell: under another server, say.

    Looked for once, among all that refer to the function; some milliseconds in a large app.
    """
    known = getattr(function, _ROUTED, None)
    if known is None:
        route = sys.modules["starlette.routing"].Route
        holders = gc.get_referrers(function)
        known = any(isinstance(each, route) for each in holders) or any(
            isinstance(each, dict) and each.get("endpoint") is function and "path_regex" in each for each in holders
        )
        setattr(function, _ROUTED, known)
    return bool(known)


def host() -> str:
    """Return the host that the request being answered is for, where Flask tells; "" elsewhere.

    A request that changes something has no cache in front of it, and so nobody else to tell.
    """
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return ""
    return str(flask.request.environ.get("HTTP_HOST", ""))


def surroundings() -> Callable[[], AbstractContextManager[object]]:
    """Return what to enter where a function is refreshed in the background: the Flask app's context, say."""
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_app_context():
        enter: Callable[[], AbstractContextManager[object]] = flask.current_app._get_current_object().app_context  # noqa: SLF001  # the documented way to the app itself
        return enter
    return _connections_closed if "django.db" in sys.modules else nullcontext


@contextmanager
def _connections_closed() -> Iterator[None]:
    """Close the database connections that Django opens in a thread and closes only after requests."""
    try:
        yield
    finally:
        sys.modules["django.db"].connections.close_all()


Hooks.recognise = staticmethod(recognise)
Hooks.host = staticmethod(host)
Hooks.surroundings = staticmethod(surroundings)
