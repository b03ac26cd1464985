"""What is kept of answers, how long, and when it may be used: decisions without I/O, and the stores that hold it.

For apps: `hotplate.cache.invalidate` and `hotplate.cache.tag`. Importing the package imports nothing else.
"""

TYPE_CHECKING = False  # as in `hotplate`
if TYPE_CHECKING:
    from hotplate.cache.current import tag
    from hotplate.cache.purging import invalidate

__all__ = ["invalidate", "tag"]

_HOMES = {"invalidate": "hotplate.cache.purging", "tag": "hotplate.cache.current"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
