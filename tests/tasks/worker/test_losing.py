"""What becomes of tasks whose process is lost, that fail, that nobody knows: the same on every broker."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import NotRegistered, TimeLimitExceeded, WorkerLostError

from hotplate.tasks.app import Application
from hotplate.tasks.worker import parking
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"

pytestmark = pytest.mark.process


def parked(client: Application) -> list[Any]:
    """Return the parked messages, and leave them there."""
    with client.connection_for_write() as connection:
        queue = parking.queue()(connection.default_channel)
        queue.declare()
        messages = []
        while (message := queue.get()) is not None:
            messages.append(message)
        for message in messages:
            message.requeue()
    return messages


def wait_for_parked(client: Application, number: int = 1) -> list[Any]:
    """Wait until there are as many parked messages."""
    wait_until(lambda: len(parked(client)) == number, what=f"{number} are parked")
    return parked(client)


def try_again(client: Application) -> list[str]:
    """Do what `hotplate tasks retry` does with all of them."""
    queues = []
    with client.connection_for_write() as connection:
        queue = parking.queue()(connection.default_channel)
        while (message := queue.get()) is not None:
            queues.append(parking.again(client, message))
            message.ack()
    return queues


def test_a_lost_process_loses_no_task(serve: Serve, client: Application, folder: Path) -> None:
    """A task whose process is killed is run again at once, and the process is replaced."""
    worker = serve()
    sent = client.send_task(f"{CHORES}.hold", ("long",), priority=3)
    (first,) = wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    os.kill(int(first), signal.SIGKILL)
    wait_until(lambda: len(notes(folder, "long.began")) == 2, what="the task runs again")
    (folder / "long").touch()
    assert sent.get(timeout=DEADLINE) == "long"
    worker.counts(lost=1, succeeded=1, failed=0, parked=0)
    assert len(worker.counts()["processes"]) == 2


def test_a_poison_task_is_parked(serve: Serve, client: Application, folder: Path) -> None:
    """A task that kills its process each time is parked after as many attempts, and whoever waits is told."""
    worker = serve(attempts=3)
    sent = client.send_task(f"{CHORES}.die", ("poison",))
    with pytest.raises(WorkerLostError, match="3 times"):
        sent.get(timeout=DEADLINE)
    assert len(notes(folder, "poison")) == 3
    (message,) = wait_for_parked(client)
    note = message.headers[parking.HEADER]
    assert (note["reason"], note["queue"]) == ("poison", "celery")
    worker.counts(lost=3, parked=1, failed=1)
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3


def test_a_parked_task_starts_afresh(serve: Serve, client: Application, folder: Path) -> None:
    """A parked task that is tried again has all its attempts before it."""
    serve(attempts=2)
    sent = client.send_task(f"{CHORES}.die", ("poison",))
    wait_for_parked(client)
    assert try_again(client) == ["celery"]
    wait_until(lambda: len(notes(folder, "poison")) == 4, what="it ran twice more")
    (message,) = wait_for_parked(client)
    assert message.headers["id"] == sent.id


def test_killed_with_its_worker(serve: Serve, client: Application, folder: Path) -> None:
    """When the main process is killed, too, the next worker runs the task, and that counts as an attempt."""
    worker = serve(attempts=2)
    sent = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    worker.send(signal.SIGKILL)
    worker.wait()
    again = serve(attempts=2, name="hotplate-test-1@here")
    wait_until(lambda: len(notes(folder, "long.began")) == 2, what="the task runs again")
    again.send(signal.SIGKILL)
    again.wait()
    serve(attempts=2, name="hotplate-test-1@here")
    with pytest.raises(WorkerLostError, match="2 times"):
        sent.get(timeout=DEADLINE)


def test_a_failed_task_is_parked(serve: Serve, client: Application, folder: Path) -> None:
    """A task that fails, all its retries used, is parked with the exception, and may be tried again."""
    serve()
    sent = client.send_task(f"{CHORES}.falter", ("f",))
    with pytest.raises(ValueError, match="still not"):
        sent.get(timeout=DEADLINE)
    assert len(notes(folder, "f")) == 3
    (message,) = wait_for_parked(client)
    note = message.headers[parking.HEADER]
    assert (note["reason"], note["detail"]) == ("failed", "ValueError: still not")
    try_again(client)
    wait_until(lambda: len(notes(folder, "f")) == 6, what="it was tried three times more")
    (message,) = wait_for_parked(client)
    assert message.headers["id"] == sent.id


def test_out_of_time(serve: Serve, client: Application, folder: Path) -> None:
    """A task that takes too long fails once, and is parked."""
    worker = serve()
    sent = client.send_task(f"{CHORES}.hold", ("long",), time_limit=1)
    with pytest.raises(TimeLimitExceeded):
        sent.get(timeout=DEADLINE)
    (message,) = wait_for_parked(client)
    assert message.headers[parking.HEADER]["reason"] == "failed"
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    worker.counts(succeeded=1, failed=1, parked=1)


def test_cancelled(serve: Serve, client: Application, folder: Path) -> None:
    """A task that is revoked while it runs is neither run again nor parked."""
    worker = serve()
    sent = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    sent.revoke(terminate=True)
    wait_until(lambda: client.AsyncResult(sent.id).state == "REVOKED", what="it is revoked")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert worker.counts(succeeded=1)["parked"] == 0
    assert len(notes(folder, "long.began")) == 1


def test_an_unknown_task_waits_for_who_knows_it(serve: Serve, client: Application, folder: Path) -> None:
    """A task that a worker does not know is done by a newer one, also if the older one still has it."""
    old = serve(variables={"CHORES_PAUSE": "3600"})
    sent = client.send_task("chores.invented")
    wait_until(lambda: "chores.invented" in old.log, what="the old worker has it")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert old.stop() == 0
    serve(variables={"CHORES_NEW": "yes"})
    assert sent.get(timeout=DEADLINE) == "new"


def test_an_unknown_task_is_parked_at_last(serve: Serve, client: Application, folder: Path) -> None:
    """A task that no worker knows is parked, whoever waits is told, and a newer worker can do it."""
    old = serve(attempts=2)
    sent = client.send_task("chores.invented")
    with pytest.raises(NotRegistered):
        sent.get(timeout=DEADLINE)
    (message,) = wait_for_parked(client)
    assert message.headers[parking.HEADER]["reason"] == "unknown"
    assert old.stop() == 0
    serve(variables={"CHORES_NEW": "yes"})
    try_again(client)
    wait_until(lambda: client.AsyncResult(sent.id).state == "SUCCESS", what="it is done")
    assert notes(folder, "invented")


def test_what_cannot_be_read_is_parked(serve: Serve, client: Application) -> None:
    """A message that asks for no task, or is not JSON, is parked as it is."""
    serve().connected()
    headers = {"task": f"{CHORES}.add", "id": "7"}
    pickled = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
    with client.producer_or_acquire() as producer:
        client.amqp.queues["celery"](producer.channel).declare()  # a worker that is connected may not have, yet
        producer.publish({"hello": "world"}, routing_key="celery", serializer="json")
        producer.publish(b"\x80\x04N.", routing_key="celery", headers=headers, **pickled)
    wait_until(lambda: len(parked(client)) == 2, what="both are parked")
    messages = parked(client)
    assert {message.headers[parking.HEADER]["reason"] for message in messages} == {"unreadable"}
    bodies = {body.encode() if isinstance(body, str) else bytes(body) for body in (each.body for each in messages)}
    assert bodies == {b'{"hello": "world"}', b"\x80\x04N."}


def test_revocations_survive_a_worker(serve: Serve, client: Application, folder: Path) -> None:
    """A task that was revoked stays so for a worker that starts later, and starting waits for nobody."""
    first = serve(concurrency=1).connected()
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    later = client.send_task(f"{CHORES}.add", (1, 2))
    wait_until(lambda: client.control.revoke(later.id, reply=True), what="the worker heard of it")
    serve(name="hotplate-new@here", queues=["another"]).connected()

    def known() -> bool:
        answers = client.control.inspect(["hotplate-new@here"]).revoked() or {}
        return later.id in answers.get("hotplate-new@here", ())

    wait_until(known, what="the new worker knows")
    (folder / "long").touch()
    assert running.get(timeout=DEADLINE) == "long"
    assert first.stop() == 0
    assert not notes(folder, "add")
