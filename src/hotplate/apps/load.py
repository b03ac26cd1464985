"""Importing the user's app: every way it can fail gets its own line, and their traceback where it is their code."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from hotplate.apps import failures, frames
from hotplate.apps.attribute import app_in
from hotplate.apps.blocking import servers_ignored
from hotplate.apps.kind import Framework, Protocol, detect
from hotplate.apps.target import Spot, Target, locate
from hotplate.errors import HotplateError


class LoadedApp(NamedTuple):
    """An app that was imported.

    Args:
        app: the callable.
        name: what was loaded, such as "shop.web:create_app()".
        kind: how to call it, "wsgi" or "asgi".
        framework: "flask", "fastapi", "starlette" or "django"; None for another or none.
        version: what it is made with, such as "Flask 3.1.3"; "" if unknown.
        module: dotted name of the imported module.
        warnings: what the user should know, a sentence each.
    """

    app: Callable[..., Any]
    name: str
    kind: Protocol
    framework: Framework | None
    version: str
    module: str
    warnings: tuple[str, ...]


def load(target: Target, cwd: Path) -> LoadedApp:
    """Import the app; the folder it is imported from stays first on `sys.path`, as with `flask run`.

    Args:
        target: what to load.
        cwd: folder in which modules and relative files are looked for.

    Raises:
        HotplateError: APP_NOT_FOUND, ATTRIBUTE_MISSING or APP_IMPORT_FAILED.

    Example:
        >>> load(Target(module="wsgiref.simple_server", attribute="demo_app"), Path("/")).kind
        'wsgi'
    """
    spot = locate(target, cwd)
    _go_first(spot.folder)
    for name, value in target.environment.items():
        os.environ.setdefault(name, value)
    with servers_ignored() as ignored:
        module = _imported(target, spot)
        _refuse_namesake(target, spot, module)
        with _users_code(f"make the app {target}"):
            name, app = app_in(module, target)
    detected = detect(app)
    if detected.protocol is None or not callable(app):
        raise failures.not_an_app(name, app, detected)
    return LoadedApp(
        app, name, detected.protocol, detected.framework, _version(detected.package), spot.module, tuple(ignored)
    )


def _go_first(folder: Path) -> None:
    path = str(folder)
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)
    importlib.invalidate_caches()


def _imported(target: Target, spot: Spot) -> ModuleType:
    try:
        with _users_code(f"import {spot.module}"):
            return importlib.import_module(spot.module)
    except _MissingError as problem:
        raise failures.module_missing(target, spot, problem.missing) from None


class _MissingError(Exception):
    """The target's own module does not exist, as opposed to one that it imports."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


@contextmanager
def _users_code(attempted: str) -> Iterator[None]:
    """Turn whatever the user's code raises into one of our errors."""
    try:
        yield
    except HotplateError:
        raise
    except ModuleNotFoundError as problem:
        if not _reached_user(problem):
            raise _MissingError(problem.name or "") from None
        raise failures.dependency_missing(attempted, problem) from problem
    except SystemExit as problem:
        raise failures.exited(attempted, problem) from problem
    except SyntaxError as problem:
        raise failures.syntax(attempted, problem) from problem
    except Exception as problem:
        raise failures.raised(attempted, problem) from problem


def _reached_user(problem: BaseException) -> bool:
    """Whether any code but ours and the import system's ran before it was raised."""
    trace = problem.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and not frames.is_ours(filename) and filename != importlib.__file__:
            return True
        trace = trace.tb_next
    return False


def _refuse_namesake(target: Target, spot: Spot, module: ModuleType) -> None:
    """Refuse the standard library's `queue` when the user's queue.py was meant."""
    base = spot.folder / Path(*spot.module.split("."))
    mine = [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
    theirs = getattr(module, "__file__", None)
    if mine and not (theirs and any(path.samefile(theirs) for path in mine if Path(theirs).exists())):
        raise failures.namesake(target, mine[0], theirs)


def _version(package: str) -> str:
    if not package:
        return ""
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package
