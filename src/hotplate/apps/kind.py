"""Is it WSGI or ASGI? Told from known types by name, with no framework imported, then from how it can be called."""

import functools
import inspect
from collections.abc import Mapping
from typing import Literal, NamedTuple

Protocol = Literal["wsgi", "asgi"]
Framework = Literal["flask", "fastapi", "starlette", "django"]


class Known(NamedTuple):
    """A type that is known by name.

    `framework` is filled for those with an adapter, `package` names the distribution whose version is shown.
    """

    protocol: Protocol | None
    framework: Framework | None
    package: str


# Looked up for each class an app descends from, nearest first; protocol None: speaks neither.
KNOWN: Mapping[tuple[str, str], Known] = {
    ("flask", "Flask"): Known("wsgi", "flask", "Flask"),
    ("fastapi", "FastAPI"): Known("asgi", "fastapi", "FastAPI"),
    ("starlette", "Starlette"): Known("asgi", "starlette", "Starlette"),
    ("django", "WSGIHandler"): Known("wsgi", "django", "Django"),
    ("django", "ASGIHandler"): Known("asgi", "django", "Django"),
    ("quart", "Quart"): Known("asgi", None, "Quart"),
    ("litestar", "Litestar"): Known("asgi", None, "litestar"),
    ("sanic", "Sanic"): Known("asgi", None, "sanic"),
    ("connexion", "AsyncApp"): Known("asgi", None, "connexion"),
    ("bottle", "Bottle"): Known("wsgi", None, "bottle"),
    ("falcon", "App"): Known("wsgi", None, "falcon"),
    ("pyramid", "Router"): Known("wsgi", None, "pyramid"),
    ("aiohttp", "Application"): Known(None, None, "aiohttp"),
    ("tornado", "Application"): Known(None, None, "tornado"),
    ("robyn", "Robyn"): Known(None, None, "robyn"),
}
# falcon.asgi.App descends from falcon.App.
_ASGI_MODULES = ("falcon.asgi",)
# Where middleware keeps the app it wraps.
_INNER_NAMES = ("app", "application", "wsgi_app", "_app", "inner", "__wrapped__")
_WSGI_NAMES, _ASGI_NAMES = ("environ", "start_response"), ("scope", "receive", "send")


class Detected(NamedTuple):
    """What is known of an object.

    Args:
        protocol: how to call it, or None if it is no app that can be served.
        framework: the framework it is made with, where there is an adapter for it.
        package: the distribution it comes from, "" if unknown.
    """

    protocol: Protocol | None
    framework: Framework | None = None
    package: str = ""


def detect(app: object) -> Detected:
    """Return what `app` is. Nothing is called and nothing imported.

    Example:
        >>> detect(lambda environ, start_response: []).protocol
        'wsgi'
    """
    if not callable(app):
        inner = known(app)
        return Detected(None, None, inner.package if inner else "")
    found = known(app)
    if found is not None:
        return Detected(found.protocol, found.framework, found.package)
    wrapped = next(filter(None, map(known, _wrapped(app))), None)
    protocol = _by_shape(app) or (wrapped.protocol if wrapped else "wsgi" if _takes_anything(app) else None)
    return Detected(protocol, wrapped.framework if wrapped else None, wrapped.package if wrapped else "")


def known(app: object) -> Known | None:
    """Return the row for the nearest known class that `app` is an instance of."""
    for base in type(app).__mro__:
        module = base.__module__ or ""
        found = KNOWN.get((module.partition(".")[0], base.__name__))
        if found is not None:
            return found._replace(protocol="asgi") if module.startswith(_ASGI_MODULES) else found
    return None


def is_asgi2(app: object) -> bool:
    """Whether it is a double callable of ASGI 2: called with the scope alone, it gives the real callable."""
    if not isinstance(app, type):
        return False
    needs = _required(app)
    return inspect.iscoroutinefunction(vars(app).get("__call__")) and needs is not None and len(needs) == 1


def required_arguments(function: object) -> list[str] | None:
    """Return the names a caller must give, in order; None when it cannot be told."""
    return _required(function, named=True)


def _by_shape(app: object) -> Protocol | None:
    needs = _required(app)
    if isinstance(app, type) and not hasattr(app, "__iter__"):
        return None  # a class makes a WSGI response only if what it makes can be iterated over (PEP 3333)
    if needs is None:
        return "asgi" if _is_async(app) else None
    if tuple(needs[-3:]) == _ASGI_NAMES or (len(needs) == len(_ASGI_NAMES)):
        return "asgi"
    if _is_async(app):
        return "asgi" if not needs and _takes(app, 3) else None
    return "wsgi" if len(needs) == len(_WSGI_NAMES) else None


def _required(app: object, *, named: bool = False) -> list[str] | None:
    signature = _signature(app)
    if signature is None:
        return None
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is inspect.Parameter.empty
        and (parameter.kind in kinds or (named and parameter.kind is inspect.Parameter.KEYWORD_ONLY))
    ]


def _signature(app: object) -> inspect.Signature | None:
    if not callable(app):
        return None
    try:
        return inspect.signature(app)
    except Exception:  # noqa: BLE001  built in C without a text signature, or a proxy that raises what it likes
        return None


def _takes(app: object, count: int) -> bool:
    signature = _signature(app)
    if signature is None:
        return False
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _takes_anything(app: object) -> bool:
    """Whether it is a wrapper such as `def wrapper(*args)`, which a WSGI decorator usually is."""
    signature = _signature(app)
    kinds = [parameter.kind for parameter in signature.parameters.values()] if signature else []
    return kinds[:1] == [inspect.Parameter.VAR_POSITIONAL] and not _is_async(app)


def _is_async(app: object) -> bool:
    function = app
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return inspect.iscoroutinefunction(inspect.unwrap(function))
    call = getattr(type(function), "__call__", None)  # noqa: B004  the method is inspected, not called
    return inspect.iscoroutinefunction(inspect.unwrap(call)) if call else False


def _wrapped(app: object, depth: int = 5) -> list[object]:
    """Return the apps inside middleware, outermost first."""
    inner: list[object] = []
    current = app
    while len(inner) < depth:
        current = current.func if isinstance(current, functools.partial) else current
        attributes = _attribute(current, "__dict__")
        attributes = attributes if isinstance(attributes, Mapping) else {}
        found = [attributes[name] for name in _INNER_NAMES if callable(attributes.get(name))]
        if not found:
            owner = _attribute(current, "__self__")  # a bound method, such as app.wsgi_app
            found = [owner] if owner is not None and not inspect.ismodule(owner) else []
        if not found:
            break
        current = found[0]
        inner.append(current)
    return inner


def _attribute(owner: object, name: str) -> object:
    """Return an attribute of a stranger's object, or None: a proxy may raise anything at all."""
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001  see above
        return None
