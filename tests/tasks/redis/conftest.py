"""Connections to a private Redis, as workers and producers have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.brokers import Broker, redis_broker
from tests.support.servers import server_folder
from tests.tasks.redis.sides import Connection, Side

Open = Callable[..., Side]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """What a test looks into Redis with."""
    with redis.Redis.from_url(redis_url) as looking:
        yield looking


@pytest.fixture
def side(redis_url: str) -> Iterator[Open]:
    """Opens a side of the wire; as often as wanted, each ends with the test."""
    with ExitStack() as running:

        def opened(url: str = redis_url, **options: Any) -> Side:
            connection = Connection(url, transport="hotplate.tasks.redis:Transport", transport_options=options)
            running.callback(_closed, connection)
            return Side(connection)

        yield opened


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[Broker]:
    """A Redis that may be stopped, killed and started again."""
    with server_folder("broker") as folder, redis_broker(folder) as broker:
        yield broker


def _closed(connection: Any) -> None:
    with suppress(Exception):  # the test may have cut it
        connection.close()
