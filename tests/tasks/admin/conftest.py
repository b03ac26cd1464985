"""A broker with a queue and parked tasks in it, as workers would leave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hotplate.tasks import brokers
from hotplate.tasks.admin import reaching
from hotplate.tasks.worker import parking
from tests.support.brokers import Broker, embedded_broker, rabbitmq_broker, redis_broker
from tests.support.servers import server_folder

BrokerOf = Callable[[str], Broker]


class Opened:
    """What the operator's commands have of a broker, and what a worker would do to it.

    Args:
        broker: a real one.
    """

    def __init__(self, broker: Broker) -> None:
        self.server = broker
        self.broker = brokers.described(broker.url, "CELERY_BROKER_URL")
        self.app = reaching.application(self.broker, "shop")

    def send(self, queue: str, *ids: str, priority: int = 0, **headers: Any) -> None:
        """Have messages wait in a queue."""
        with self.app.producer_or_acquire() as producer:
            for each in ids:
                producer.publish(
                    [[], {}, {}],
                    routing_key=queue,
                    declare=[self.app.amqp.queues[queue]],
                    serializer="json",
                    headers={"id": each, "task": "shop.mail", "lang": "py", "retries": 3, **headers},
                    priority=priority,
                    delivery_mode=2,
                )

    def park(self, *ids: str, reason: str = "failed", queue: str = "celery", at: float = 1.0, **more: str) -> None:
        """Have tasks lie among the parked ones."""
        with self.app.producer_or_acquire() as producer:
            for place, each in enumerate(ids):
                note = {"reason": reason, "queue": queue, "at": at + place, "detail": more.get("detail", "")}
                producer.publish(
                    [[each], {}, {}],
                    routing_key=parking.PARKED,
                    declare=[parking.queue()],
                    serializer="json",
                    headers={"id": each, "task": more.get("task", "shop.mail"), "retries": 3, parking.HEADER: note},
                    delivery_mode=2,
                )

    def taken(self, queue: str) -> list[Any]:
        """Take all that waits in a queue, as a worker would."""
        with self.app.connection_for_write() as connection:
            channel = connection.default_channel
            bound = self.app.amqp.queues[queue](channel)
            found = []
            while (message := bound.get(no_ack=True)) is not None:
                found.append(message)
            return found


@pytest.fixture
def broker_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerOf]:
    """Gives a broker of the kind asked for, empty, which ends with the test."""
    with ExitStack() as running:

        def started(kind: str) -> Broker:
            if kind == "embedded":
                return embedded_broker(tmp_path)
            if kind == "redis":
                return running.enter_context(redis_broker(running.enter_context(server_folder("broker"))))
            server = request.getfixturevalue("rabbitmq_service")
            return running.enter_context(rabbitmq_broker(server, tmp_path))

        yield started


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
    ]
)
def broker(request: pytest.FixtureRequest, broker_of: BrokerOf) -> Broker:
    """Each broker in turn: a file, a Redis, a RabbitMQ."""
    return broker_of(request.param)


@pytest.fixture
def opened(broker: Broker) -> Opened:
    """Each broker in turn."""
    return Opened(broker)
