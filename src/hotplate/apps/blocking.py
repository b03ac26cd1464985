"""Keeps a module that starts its own server while it is imported from doing so.

`app.run()` or `uvicorn.run(app)` without `if __name__ == "__main__":` would block the import for ever. While an app is
imported, those calls do nothing but leave a warning; afterwards everything is as it was.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType

# Module, and the name in it that serves until it is stopped.
BLOCKING: Mapping[str, str] = {
    "flask.app": "Flask.run",
    "werkzeug.serving": "run_simple",
    "uvicorn.main": "run",
    "uvicorn": "run",
    "waitress": "serve",
    "hypercorn.run": "run",
    "bottle": "run",
    "aiohttp.web": "run_app",
    "gevent.baseserver": "BaseServer.serve_forever",
    "eventlet.wsgi": "server",
    "socketserver": "BaseServer.serve_forever",
    "sanic.app": "Sanic.run",
}


@contextmanager
def servers_ignored() -> Iterator[list[str]]:
    """Ignore calls that start a server, in this thread, while the context lasts; yield what was ignored, in words."""
    ignored: list[str] = []
    undo: list[Callable[[], None]] = []
    finder = _Finder(ignored, undo)
    before = os.environ.get("FLASK_RUN_FROM_CLI")
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # Flask's own way to ignore app.run(), for subclasses that override it
    for name in BLOCKING:
        if name in sys.modules:
            _replace(sys.modules[name], BLOCKING[name], ignored, undo)
    sys.meta_path.insert(0, finder)
    try:
        yield ignored
    finally:
        sys.meta_path.remove(finder)
        for step in reversed(undo):
            step()
        if before is None:
            os.environ.pop("FLASK_RUN_FROM_CLI", None)
        else:
            os.environ["FLASK_RUN_FROM_CLI"] = before


class _Finder(importlib.abc.MetaPathFinder):
    """Replaces the blocking name of a module as soon as the module has been executed."""

    def __init__(self, ignored: list[str], undo: list[Callable[[], None]]) -> None:
        self._ignored = ignored
        self._undo = undo

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in BLOCKING:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        loader = spec.loader if spec else None
        if not isinstance(loader, importlib.machinery.SourceFileLoader):
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            execute(module)
            _replace(module, BLOCKING[fullname], self._ignored, self._undo)

        vars(loader)["exec_module"] = exec_module
        return spec


def _replace(module: ModuleType, path: str, ignored: list[str], undo: list[Callable[[], None]]) -> None:
    *owners, name = path.split(".")
    owner: object = module
    for word in owners:
        owner = getattr(owner, word, None)
    original = getattr(owner, name, None)
    if not callable(original):
        return
    importer = threading.get_ident()
    active = True

    def ignore(*args: object, **kwargs: object) -> object:
        # Code may keep a reference for later, and threads that the app started are none of ours.
        if not active or threading.get_ident() != importer:
            return original(*args, **kwargs)
        ignored.append(f"{module.__name__.partition('.')[0]}'s {path}() was ignored while the app was imported")
        return None

    def restore() -> None:
        nonlocal active
        active = False
        setattr(owner, name, original)

    setattr(owner, name, ignore)
    undo.append(restore)
