"""The queue of parked messages is bounded, on every broker."""

from __future__ import annotations

import time

import pytest

from hotplate.tasks.app import Application
from hotplate.tasks.worker import parking
from tests.support.waiting import wait_until

# RabbitMQ bounds the queue itself, by its declaration.
BOUNDED_BY_US = pytest.mark.parametrize(
    "broker", ["embedded", pytest.param("redis", marks=pytest.mark.redis)], indirect=True
)


def put(client: Application, number: int) -> None:
    """Send a message to be parked."""
    with client.producer_or_acquire() as producer:
        queue = client.amqp.queues["celery"]
        producer.publish(
            {"number": number},
            routing_key="celery",
            declare=[queue],
            headers={"id": str(number), "task": "t", "compression": None, "retries": 3, "eta": "2001-01-01T00:00:00"},
            correlation_id=str(number),
            priority=2,
        )


def park(client: Application, number: int, at: float) -> None:
    """Send a message, take it, and park it."""
    put(client, number)
    with client.connection_for_read() as connection:
        queue = client.amqp.queues["celery"](connection.default_channel)
        message = wait_until(queue.get, what="the message is there")
        parking.park(client, message, "failed", f"because of {number}", clock=lambda: at)
        message.ack()


def numbers(client: Application) -> list[str]:
    """Return the ids of what was parked, oldest first."""
    with client.connection_for_write() as connection:
        queue = parking.queue()(connection.default_channel)
        found = []
        while (message := queue.get()) is not None:
            found.append(message.headers["id"])
            message.ack()
    return found


@BOUNDED_BY_US
def test_the_oldest_go_first(client: Application) -> None:
    """Of too many messages the newest stay."""
    now = time.time()
    for number in range(4):
        park(client, number, now)
    parking.trim(client, newest=3)
    assert numbers(client) == ["1", "2", "3"]


@BOUNDED_BY_US
def test_the_old_go(client: Application) -> None:
    """Messages are kept for a week."""
    now = time.time()
    for number, days in enumerate((9, 8, 2, 1)):
        park(client, number, now - days * 86400)
    parking.trim(client)
    parking.trim(client)
    assert numbers(client) == ["2", "3"]


def test_again(client: Application) -> None:
    """A parked message goes back as it was, with its retries before it and no time to wait for."""
    park(client, 7, time.time())
    with client.connection_for_write() as connection:
        message = parking.queue()(connection.default_channel).get()
        note = message.headers[parking.HEADER]
        assert (note["reason"], note["detail"], note["priority"]) == ("failed", "because of 7", 2)
        assert parking.again(client, message) == "celery"
        message.ack()
        again = wait_until(client.amqp.queues["celery"](connection.default_channel).get, what="it is back")
        again.ack()
    assert again.payload == {"number": 7}
    assert again.headers["retries"] == 0
    assert not {parking.HEADER, "eta", "compression"} & again.headers.keys()
    assert again.properties["correlation_id"] == "7"
    assert again.properties["priority"] == 2
    assert numbers(client) == []
