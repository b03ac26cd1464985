"""Servers that a test may start, kill and freeze, and a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hotplate.cache.functions import background
from tests.cache.opened import Clock, open_cache
from tests.cache.redis_control import Begin, Control
from tests.support.servers import server_folder
from tests.support.waiting import wait_until


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts a server with options of its own."""
    with ExitStack() as running:

        def begun(**options: str) -> Control:
            folder = running.enter_context(server_folder("redis"))
            return Control(folder, running, **options)

        yield begun


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A fresh cache, and its clock."""
    return open_cache(monkeypatch)[1]


@pytest.fixture
def fresh(clock: Clock) -> Iterator[None]:
    """Give a test a cache of its own, and end what it has left running in the background."""
    yield
    wait_until(lambda: background._running._value == background._MOST, what="refreshing has ended")
