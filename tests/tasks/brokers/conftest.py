"""A bench for each kind of broker, set up when first asked for; tests leave it with a worker or without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.brokers import embedded_broker, rabbitmq_broker, redis_broker
from tests.support.servers import server_folder
from tests.tasks.brokers.bench import Bench, bench

EACH = [
    "embedded",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]


@pytest.fixture(scope="module", params=EACH)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench that the tests of a module share."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with ExitStack() as running:
        if request.param == "embedded":
            broker = embedded_broker(folder)
        elif request.param == "redis":
            broker = running.enter_context(redis_broker(running.enter_context(server_folder("broker"))))
        else:
            server = request.getfixturevalue("rabbitmq_service")
            broker = running.enter_context(rabbitmq_broker(server, folder))
        yield running.enter_context(bench(broker, folder))


@pytest.fixture
def at(shared: Bench) -> Iterator[Bench]:
    """The bench of each kind of broker in turn; the broker's log is shown when a test fails."""
    yield shared
    shared.renew()
