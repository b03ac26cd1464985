"""A cache of the test's own, with a clock that is set by hand."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from hotplate.cache import service
from hotplate.cache.functions import computing, wrapping
from hotplate.cache.service import Cache
from hotplate.cache.stores.local import LocalStore
from hotplate.settings import Settings


class Clock:
    """Goes on by itself, and as far as it is put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        """Return wall-clock seconds."""
        return time.time() + self.ahead


def open_cache(monkeypatch: pytest.MonkeyPatch, store: LocalStore | None = None) -> tuple[Cache, Clock]:
    """Make a cache this process's, until the test ends."""
    clock = Clock()
    cache = Cache(store or LocalStore(10_000_000, clock=clock.time), Settings())
    cache.shelf._clock = clock.time
    monkeypatch.setattr(service, "_cache", cache)
    fake = SimpleNamespace(time=clock.time, monotonic=time.monotonic, perf_counter=time.perf_counter)
    monkeypatch.setattr(wrapping, "time", fake)
    monkeypatch.setattr(computing, "time", fake)
    return cache, clock
