"""A broker for each test that asks, of each kind in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.brokers import Broker, embedded_broker, rabbitmq_broker, redis_broker
from tests.support.servers import server_folder

BrokerOf = Callable[[str], Broker]
EACH = [
    "embedded",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]


@pytest.fixture
def broker_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerOf]:
    """Gives a broker of the kind asked for, empty, which ends with the test."""
    with ExitStack() as running:

        def opened(kind: str) -> Broker:
            if kind == "embedded":
                return embedded_broker(tmp_path)
            if kind == "redis":
                return running.enter_context(redis_broker(running.enter_context(server_folder("broker"))))
            server = request.getfixturevalue("rabbitmq_service")
            return running.enter_context(rabbitmq_broker(server, tmp_path))

        yield opened


@pytest.fixture(params=EACH)
def broker(request: pytest.FixtureRequest, broker_of: BrokerOf) -> Broker:
    """Each broker in turn: a file, a Redis, a RabbitMQ."""
    return broker_of(request.param)
