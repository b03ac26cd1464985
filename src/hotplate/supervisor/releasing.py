"""Which version of the code a process runs, and what of the cache it hands on to the app and what that starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hotplate.apps import fingerprint, load
from hotplate.apps.fingerprint import Release
from hotplate.apps.load import LoadedApp
from hotplate.apps.target import Target, locate
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import SETTINGS, Settings
from hotplate.settings.handed import CACHE_RELEASE, OF_THE_CACHE


def loaded(target: Target, cwd: Path, settings: Settings) -> tuple[LoadedApp, Release]:
    """Import the app, and say which release of it that is.

    Args:
        target: what to load.
        cwd: folder in which it is looked for.
        settings: `release` as the user calls it, else its fingerprint is taken; and what the app is wanted for.

    Raises:
        HotplateError: see `hotplate.apps.load.load`.
    """
    asked = settings.release
    if asked:
        nothing = fingerprint.Fingerprint("", 0)
        return _load(target, cwd, settings), fingerprint.release(nothing, nothing, asked)
    spot, what = locate(target, cwd), str(target)
    before = fingerprint.take(spot, what=what)
    app = _load(target, cwd, settings)
    # Files that change meanwhile make neither the old version nor the new one.
    return app, fingerprint.release(before, fingerprint.take(spot, what=what))


def _load(target: Target, cwd: Path, settings: Settings) -> LoadedApp:
    """Load the app; on a machine for tasks a module that has a Celery app, and none of the web, will do."""
    try:
        return load.load(target, cwd)
    except HotplateError as error:
        module = sys.modules.get(locate(target, cwd).module)
        is_there = module is not None and (not target.attribute or _has(module, target.attribute))
        if settings.only != "tasks" or error.code is not ExitCode.ATTRIBUTE_MISSING or module is None or not is_there:
            raise
    return LoadedApp(_serves_nobody, str(target), "wsgi", None, "", module.__name__, ())


def is_of_the_web(app: LoadedApp) -> bool:
    """Whether there is an app of the web, and not only one of Celery."""
    return app.app is not _serves_nobody


def _has(thing: object, attribute: str) -> bool:
    for word in attribute.split("."):
        if not hasattr(thing, word):
            return False
        thing = getattr(thing, word)
    return True


def _serves_nobody(_environ: object, _start_response: object) -> list[bytes]:
    """Stand in for an app of the web where there is none, and no listener either."""
    return []


def hand_on(settings: Settings, release: Release | None) -> None:
    """Have the app, and what it starts (Celery, shells, other programs), find this instance's cache and its release.

    Args:
        settings: of the instance.
        release: None where that is not known yet.
    """
    os.environ.update(variables(settings, os.environ))
    os.environ.pop(CACHE_RELEASE, None)
    if release is not None:
        os.environ[CACHE_RELEASE] = release.text


def variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what must be set for others to share the cache: flags and settings files are not theirs.

    Example:
        >>> variables(Settings(cache_size=5), {}), variables(Settings(), {"REDIS_URL": "redis://cache"})
        ({'HOTPLATE_CACHE_SIZE': '5'}, {'HOTPLATE_REDIS_URL': 'off'})
    """
    found: dict[str, str] = {}
    for name in OF_THE_CACHE:
        setting, value = SETTINGS[name], getattr(settings, name)
        said = any(variable in environ for variable in (setting.variable, *setting.row.env))
        if value != setting.default or said:
            found[setting.variable] = str(value) or "off"
    return found
