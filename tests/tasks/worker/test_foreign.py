"""An app that its user made by Celery alone: what its worker cannot run is not destroyed, on any broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery.exceptions import NotRegistered

from hotplate.tasks.app import Application
from hotplate.tasks.worker import parking
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve
from tests.tasks.worker.test_losing import parked, try_again, wait_for_parked

FOREIGN = "tests.tasks.worker.foreign"
ON_A_FILE = pytest.mark.parametrize("broker", ["embedded"], indirect=True)

pytestmark = pytest.mark.process


def test_a_task_of_somebody_else_waits_for_who_knows_it(serve: Serve, client: Application) -> None:
    """Two services on one queue: what one does not know it keeps and gives back, and goes on with what it does know."""
    old = serve(FOREIGN, variables={"CHORES_PAUSE": "3600"})
    sent = client.send_task("foreign.invented")
    wait_until(lambda: "No task foreign.invented here" in old.log, what="the old worker has it")
    assert client.send_task("foreign.double", (4,)).get(timeout=DEADLINE) == 8
    assert old.stop() == 0
    serve(FOREIGN, variables={"FOREIGN_NEW": "yes"})
    assert sent.get(timeout=DEADLINE) == "new"


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_task_that_nobody_knows_is_parked_at_last(serve: Serve, client: Application, protocol: int) -> None:
    """Whoever waits is told which it was, and a newer worker can do it; in both forms that messages of Celery have."""
    client.conf.task_protocol = protocol
    old = serve(FOREIGN, attempts=2)
    sent = client.send_task("foreign.invented")
    with pytest.raises(NotRegistered, match=r"foreign\.invented"):
        sent.get(timeout=DEADLINE)
    (message,) = wait_for_parked(client)
    assert message.headers[parking.HEADER]["reason"] == "unknown"
    assert "foreign.invented" in message.headers[parking.HEADER]["detail"]
    assert old.stop() == 0
    serve(FOREIGN, variables={"FOREIGN_NEW": "yes"})
    try_again(client)
    wait_until(lambda: client.AsyncResult(sent.id).state == "SUCCESS", what="it is done")


def test_what_cannot_be_read_is_parked(serve: Serve, client: Application) -> None:
    """A message that asks for no task, or in a way that is not allowed, is there to be looked at."""
    serve(FOREIGN).connected()
    headers = {"task": "foreign.double", "id": "7"}
    pickled = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
    with client.producer_or_acquire() as producer:
        client.amqp.queues["celery"](producer.channel).declare()  # a worker that is connected may not have, yet
        producer.publish({"hello": "world"}, routing_key="celery", serializer="json")
        producer.publish(b"\x80\x04N.", routing_key="celery", headers=headers, **pickled)
    wait_until(lambda: len(parked(client)) == 2, what="both are parked")
    assert {message.headers[parking.HEADER]["reason"] for message in parked(client)} == {"unreadable"}


@ON_A_FILE
def test_a_consumer_of_its_users_own_decides_by_itself(serve: Serve, client: Application, folder: Path) -> None:
    """Who has written what becomes of unknown tasks keeps it."""
    serve(FOREIGN, variables={"FOREIGN_OWN": "yes"})
    with pytest.raises(NotRegistered):
        client.send_task("foreign.invented").get(timeout=DEADLINE)
    assert notes(folder, "own")
    assert not parked(client)
