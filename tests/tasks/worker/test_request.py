"""What becomes of the message of a task that gives itself back, where it gets no copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from celery.exceptions import Reject
from kombu.exceptions import OperationalError

from hotplate.tasks.app import Application
from hotplate.tasks.worker import attempts, parking
from hotplate.tasks.worker.loose import Message
from hotplate.tasks.worker.request import Request
from tests.support.brokers import Broker
from tests.support.waiting import wait_until


@pytest.fixture
def queue(client: Application) -> Iterator[Any]:
    """The queue of a task that waits there, by a connection of its own."""

    @client.task(name="work")
    def work() -> None: ...

    with client.connection_for_read() as connection:
        yield client.amqp.queues["celery"](connection.default_channel)


def _not_now() -> ExceptionInfo:
    with pytest.raises(Reject) as raised:
        raise Reject("not now", requeue=True)
    return ExceptionInfo((raised.type, raised.value, raised.tb))


def rejected(client: Application, message: Message) -> None:
    """Do what a worker does when the task of a message has raised `Reject`."""
    request = Request(
        message,
        on_ack=message.ack_log_error,
        on_reject=message.reject_log_error,
        app=client,
        task=client.tasks["work"],
        connection_errors=client.connection_for_read().connection_errors,
    )
    request.on_failure(_not_now(), return_ok=True)
    assert request.acknowledged


def test_a_broker_that_takes_no_copy(
    client: Application, queue: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message goes back itself, as Celery gives it back; the embedded broker does not even count that."""

    def refuse(*_: object) -> None:
        message = "no room"
        raise OperationalError(message)

    client.send_task("work")
    message = wait_until(queue.get, what="it is there")
    monkeypatch.setattr(parking, "publish", refuse)
    rejected(client, message)
    again = wait_until(queue.get, what="it is there again")
    assert again.headers["id"] == message.headers["id"]
    assert attempts.lost(again) is (broker.kind != "embedded")
    assert queue.get() is None


def test_what_is_done_stays_told_by_it(client: Application, queue: Any) -> None:
    """A task that has its result, and comes back for what follows it, comes back as it was, and is not run again."""
    client.backend.store_result(client.send_task("work").id, None, "SUCCESS")
    wait_until(queue.get, what="it is there").reject(requeue=True)
    message = wait_until(queue.get, what="it is there again")
    assert attempts.lost(message)
    rejected(client, message)
    again = wait_until(queue.get, what="it is there once more")
    assert attempts.lost(again)
    assert queue.get() is None


def test_a_closed_channel(client: Application, queue: Any) -> None:
    """A message whose connection was lost is the broker's already: it gets no copy."""
    client.send_task("work")
    with client.connection_for_read() as connection:
        message = wait_until(queue(connection.default_channel).get, what="it is there")
    rejected(client, message)
    assert wait_until(queue.get, what="it is there again").headers["id"] == message.headers["id"]
    assert queue.get() is None
