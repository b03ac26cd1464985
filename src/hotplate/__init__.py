"""Hotplate serves Flask, FastAPI, Django and any other WSGI or ASGI app warm, fast and always on.

Importing this package starts nothing and imports nothing heavy: public names are looked up when first used (PEP 562).
"""

TYPE_CHECKING = False  # as `typing` has it, whose import would be most of the cost of this one
if TYPE_CHECKING:
    from hotplate import cache
    from hotplate.apps.warmups import warmup
    from hotplate.errors import HotplateError
    from hotplate.frameworks.views import cached
    from hotplate.gateway.hosted import asgi

__version__ = "0.1.0"
__all__ = ["HotplateError", "__version__", "asgi", "cache", "cached", "warmup"]

_HOMES = {
    "HotplateError": "hotplate.errors",
    "asgi": "hotplate.gateway.hosted",
    "cached": "hotplate.frameworks.views",
    "warmup": "hotplate.apps.warmups",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES and name != "cache":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "cache":
        return import_module("hotplate.cache")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "cache"})
