"""The cache of this process: opened when first used, from what `hotplate run` hands on in the environment.

Workers, what they start (Celery, cron jobs, shells in their environment), scripts and tests all come here. Without a
folder and without Redis the cache is this process's own.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hotplate.cache.counters import Counters
from hotplate.cache.flight import Flights
from hotplate.cache.shelf import Shelf
from hotplate.cache.stores.base import Store
from hotplate.cache.stores.local import LocalStore
from hotplate.settings import SETTINGS, Settings, resolve
from hotplate.settings.handed import CACHE_FOLDER, CACHE_RELEASE, OF_THE_CACHE

_HEEDED = (*OF_THE_CACHE, "release")
_MOST_WAITING = 4096  # a future and a callback each, 2 KiB; in threads no more can wait than there are threads


class Cache:
    """Store, memory and flights of one process.

    Args:
        store: where everything is kept.
        settings: `cache_memory`, `cache_wait` and `release` are read.
        folder: where the processes of this machine meet; "" for none.
        release: version of the code, part of every key; by default that of the settings.

    Attributes:
        counters: what this process and those it meets have counted.
        shelf: memory in front of the store, for responses and values alike; their keys cannot be equal.
        flights: who computes what.
        wait: seconds one waits for another's computation.

    Example:
        >>> from hotplate.cache.stores.local import LocalStore
        >>> Cache(LocalStore(1_000_000), Settings()).wait
        5.0
    """

    def __init__(self, store: Store, settings: Settings, folder: str = "", release: str = "") -> None:
        self.store = store
        self.folder = folder
        self.counters = Counters(Path(folder) if folder else None)
        self.shelf: Shelf[Any] = Shelf(store, settings.cache_memory)
        self.flights = Flights(store, _MOST_WAITING)
        self.wait = settings.cache_wait
        self.release = release or settings.release

    def close(self) -> None:
        """Let go of everything; what waits is not told."""
        self.store.close()


_opening = threading.Lock()
_cache: Cache | None = None
_left_behind: list[Cache] = []


def current() -> Cache:
    """Return this process's cache, opened from the environment where that has not happened yet.

    Raises:
        HotplateError: a variable of the cache has a value that cannot be used.

    Example:
        >>> current() is current()
        True
    """
    return _cache or _opened()


def open_with(settings: Settings, folder: str = "", release: str = "") -> Cache:
    """Open this process's cache, in place of one that is open.

    Args:
        settings: of the instance.
        folder: where the processes of this machine meet; "" for none.
        release: version of the code; by default the settings'.
    """
    global _cache
    _close_at_exit()
    cache = Cache(_store(settings, folder), settings, folder, release)
    with _opening:
        before, _cache = _cache, cache
    if before is not None:
        before.close()
    return cache


def close() -> None:
    """Close this process's cache; the next use opens it again."""
    global _cache
    with _opening:
        before, _cache = _cache, None
    if before is not None:
        before.close()


def handed_on(environ: Mapping[str, str]) -> tuple[Settings, str, str]:
    """Return settings, folder and release as the environment has them.

    Args:
        environ: other variables than the cache's are not looked at, so that a mistake there is no concern of a script.
    """
    names = {name for each in _HEEDED for name in (SETTINGS[each].variable, *SETTINGS[each].row.env)}
    heeded = {name: value for name, value in environ.items() if name in names}
    settings = resolve({}, heeded, Path("/nonexistent")).settings
    return settings, environ.get(CACHE_FOLDER, ""), environ.get(CACHE_RELEASE, "")


def _opened() -> Cache:
    global _cache  # noqa: PLW0603  # as in `open_with`
    with _opening:
        if _cache is None:
            settings, folder, release = handed_on(os.environ)
            _close_at_exit()
            _cache = Cache(_store(settings, folder), settings, folder, release)
        return _cache


def _store(settings: Settings, folder: str) -> Store:
    if settings.redis_url:
        from hotplate.cache.stores.redis import RedisStore

        return RedisStore(settings.redis_url, f"hotplate:{settings.name}", budget=settings.redis_timeout)
    if folder:
        from hotplate.cache.stores.lmdb import LmdbStore

        return LmdbStore(Path(folder), settings.cache_size)
    return LocalStore(settings.cache_size)


def _after_fork() -> None:
    """Forget in a child what belongs to its parent; it is not closed, for files and connections are the parent's."""
    global _cache, _opening  # noqa: PLW0603  # as in `open_with`; the lock may have been held
    _opening = threading.Lock()
    if _cache is not None:
        _left_behind.append(_cache)
        _cache = None


def _close_at_exit() -> None:
    # Not at import: a forked worker forgets the exit handlers of the process it comes from.
    atexit.unregister(close)
    atexit.register(close)


os.register_at_fork(after_in_child=_after_fork)
