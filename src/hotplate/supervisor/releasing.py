"""Which version of the code a process runs, and what of the cache it hands on to the app and what that starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hotplate.apps import fingerprint, load
from hotplate.apps.fingerprint import Release
from hotplate.apps.load import LoadedApp
from hotplate.apps.target import Target, locate
from hotplate.settings import SETTINGS, Settings

RELEASE = "HOTPLATE_CACHE_RELEASE"  # as hotplate.cache.service reads it
_SHARED = ("name", "cache_size", "cache_memory", "cache_wait", "redis_url", "redis_timeout")


def loaded(target: Target, cwd: Path, asked: str) -> tuple[LoadedApp, Release]:
    """Import the app, and say which release of it that is.

    Args:
        target: what to load.
        cwd: folder in which it is looked for.
        asked: the release as the user calls it; "" for its fingerprint.

    Raises:
        HotplateError: see `hotplate.apps.load.load`.
    """
    if asked:
        nothing = fingerprint.Fingerprint("", 0)
        return load.load(target, cwd), fingerprint.release(nothing, nothing, asked)
    spot, what = locate(target, cwd), str(target)
    before = fingerprint.take(spot, what=what)
    app = load.load(target, cwd)
    # Files that change meanwhile make neither the old version nor the new one.
    return app, fingerprint.release(before, fingerprint.take(spot, what=what))


def hand_on(settings: Settings, release: Release | None) -> None:
    """Have the app, and what it starts (Celery, shells, other programs), find this instance's cache and its release.

    Args:
        settings: of the instance.
        release: None where that is not known yet.
    """
    os.environ.update(variables(settings, os.environ))
    os.environ.pop(RELEASE, None)
    if release is not None:
        os.environ[RELEASE] = release.text


def variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what must be set for others to share the cache: flags and settings files are not theirs.

    Example:
        >>> variables(Settings(cache_size=5), {}), variables(Settings(), {"REDIS_URL": "redis://cache"})
        ({'HOTPLATE_CACHE_SIZE': '5'}, {'HOTPLATE_REDIS_URL': 'off'})
    """
    found: dict[str, str] = {}
    for name in _SHARED:
        setting, value = SETTINGS[name], getattr(settings, name)
        said = any(variable in environ for variable in (setting.variable, *setting.row.env))
        if value != setting.default or said:
            found[setting.variable] = str(value) or "off"
    return found
