"""Hotplate serves Flask, FastAPI, Django and any other WSGI or ASGI app warm, fast and always on.

Importing this package starts nothing and imports nothing heavy: public names are looked up when first used (PEP 562).
"""

TYPE_CHECKING = False  # as `typing` has it, whose import would be most of the cost of this one
if TYPE_CHECKING:
    from hotplate import cache, tasks
    from hotplate.apps.warmups import warmup
    from hotplate.errors import HotplateError
    from hotplate.frameworks.views import cached
    from hotplate.gateway.hosted import asgi

__version__ = "0.1.0"
__all__ = ["HotplateError", "__version__", "asgi", "cache", "cached", "tasks", "warmup"]

_HOMES = {
    "HotplateError": "hotplate.errors",
    "asgi": "hotplate.gateway.hosted",
    "cached": "hotplate.frameworks.views",
    "warmup": "hotplate.apps.warmups",
}
_ROOMS = ("cache", "tasks")  # whole packages, reached as attributes


def __getattr__(name: str) -> object:
    if name not in _HOMES and name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"hotplate.{name}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
