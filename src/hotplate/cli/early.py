"""Looking for the app before anything is started, so that an obvious mistake costs no start. Nothing is imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path

from hotplate.apps import discover, failures
from hotplate.apps.discover import Found
from hotplate.apps.target import locate
from hotplate.settings import Resolved

# A package whose code speaks of these may have modules that no finder knows before it is imported.
_CONJURING = ("__path__", "sys.modules", "meta_path", "__getattr__")


def find(resolved: Resolved, cwd: Path, environ: Mapping[str, str]) -> Found:
    """Return the app's target and how it was found.

    Raises:
        HotplateError: USAGE or APP_NOT_FOUND; the generation would come to the same end, later.
    """
    found = discover.find(resolved.settings.target, cwd, environ)
    spot = locate(found.target, cwd)
    missing = first_missing(spot.module, spot.folder)
    if missing:
        raise failures.module_missing(found.target, spot, missing)
    origin = resolved.origins["target"]
    why = {"default": found.why, "TARGET": "given on the command line"}.get(origin, f"named by {origin}")
    return found._replace(why=why)


def first_missing(module: str, folder: Path) -> str:
    """Return the first part of a dotted name that certainly cannot be imported; "" when there is none.

    Args:
        module: the whole name.
        folder: stands first on `sys.path` when it is imported.

    Example:
        >>> first_missing("json.nothing", Path("/nonexistent")), first_missing("json.decoder", Path("/nonexistent"))
        ('json.nothing', '')
    """
    path: list[str] | None = [str(folder), *sys.path]
    words = module.split(".")
    for place in range(len(words)):
        name = ".".join(words[: place + 1])
        spec = _spec(name, path)
        if spec is None:
            return name
        if spec.submodule_search_locations is None or _conjures(spec):
            return ""
        path = list(spec.submodule_search_locations)
    return ""


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Ask every finder, as an import does; at the top level those of frozen and built-in modules want no path."""
    for finder in sys.meta_path:
        for where in (path, None) if "." not in name else (path,):
            spec = finder.find_spec(name, where)
            if spec is not None:
                return spec
    return None


def _conjures(spec: ModuleSpec) -> bool:
    if not spec.origin or not spec.origin.endswith(".py"):
        return False
    try:
        source = Path(spec.origin).read_text("utf-8", errors="replace")
    except OSError:
        return True
    return any(word in source for word in _CONJURING)
