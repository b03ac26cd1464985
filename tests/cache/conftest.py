"""Servers that a test may start, kill and freeze."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cache.redis_control import Begin, Control
from tests.support.servers import server_folder


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts a server with options of its own."""
    with ExitStack() as running:

        def begun(**options: str) -> Control:
            folder = running.enter_context(server_folder("redis"))
            return Control(folder, running, **options)

        yield begun
