"""What a task worker gives back is in the broker once, and counts as no death: the same on every broker."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from celery.exceptions import WorkerLostError

from hotplate.tasks.admin import reaching
from hotplate.tasks.admin.looking import look
from hotplate.tasks.app import Application
from hotplate.tasks.worker import parking
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve, Serving

CHORES = "tests.tasks.worker.chores"
UNWILLING = "tests.tasks.worker.unwilling"
ORDERS = {
    "at once": (signal.SIGQUIT,),
    "together": (signal.SIGTERM, signal.SIGQUIT),
    "after the grace": (signal.SIGTERM, None, signal.SIGQUIT),
}

pytestmark = pytest.mark.process


def kept(client: Application, queue: str = "celery") -> int:
    """Return how many messages of a queue the broker has, taken ones included where it tells of them."""
    with reaching.connected(client, "look") as connection:
        inside = look(connection, reaching.of(client).kind)
        if queue == parking.PARKED:
            return len(inside.parked())
        found = [depth for depth in inside.queues([queue]) if depth.name == queue]
    return sum(number or 0 for depth in found for number in (depth.depth, depth.delayed, depth.taken))


def leave(worker: Serving, client: Application, name: str, order: str) -> None:
    """Tell a worker to leave, by signals in an order, and wait until it has left."""
    for number in ORDERS[order]:
        if number is not None:
            worker.send(number)
        else:
            wait_until(lambda: not client.control.ping([name], timeout=0.3), what="it receives nothing more")
    assert worker.wait() == 0


@pytest.mark.parametrize("order", ORDERS)
def test_a_task_is_given_back_once(serve: Serve, client: Application, folder: Path, order: str) -> None:
    """However a worker is told to leave, the task that it runs is in the broker once, and is run once more."""
    worker = serve(UNWILLING, concurrency=2, attempts=1, name="hotplate-first@here")
    client.send_task(f"{UNWILLING}.hold_silently", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    leave(worker, client, "hotplate-first@here", order)
    wait_until(lambda: kept(client), what="the broker has it")
    assert kept(client) == 1

    (folder / "long").touch()
    second = serve(UNWILLING, concurrency=1, attempts=1)
    wait_until(lambda: notes(folder, "long.done"), what="the task is done")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3  # what was before it is done
    assert second.stop() == 0
    assert kept(client) == 0
    assert len(notes(folder, "long.began")) == 2
    assert kept(client, parking.PARKED) == 0


def test_a_second_message_of_a_running_task_takes_no_place(serve: Serve, client: Application, folder: Path) -> None:
    """A worker that gets a task again while it runs it has one message of it, which is gone when the task is done."""
    client.send_task(f"{UNWILLING}.hold_silently", ("long",))
    with client.connection_for_write() as connection:
        message = wait_until(client.amqp.queues["celery"](connection.default_channel).get, what="it is there")
        parking.publish(client, message, "celery", {})
        worker = serve(UNWILLING, concurrency=2)
        wait_until(lambda: notes(folder, "long.began"), what="the task runs")
        message.reject(requeue=True)
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3  # there is a place
    (folder / "long").touch()
    wait_until(lambda: kept(client) == 0, what="nothing of it is left")
    assert worker.stop() == 0
    assert kept(client) == 0
    assert len(notes(folder, "long.began")) == 1


def test_another_try_of_a_running_task_is_another_message(serve: Serve, client: Application, folder: Path) -> None:
    """A retry that comes back while the try before it has not ended is run, and not taken for that one."""
    client.send_task(f"{UNWILLING}.hold_silently", ("long",))
    with client.connection_for_write() as connection:
        message = wait_until(client.amqp.queues["celery"](connection.default_channel).get, what="it is there")
        parking.publish(client, message, "celery", {"retries": 1})
        serve(UNWILLING, concurrency=2)
        wait_until(lambda: notes(folder, "long.began"), what="the one runs")
        message.reject(requeue=True)
    wait_until(lambda: len(notes(folder, "long.began")) == 2, what="the other one runs, too")


def test_giving_back_is_no_death(serve: Serve, client: Application, folder: Path) -> None:
    """A task may give itself back more often than it may lose its process."""
    worker = serve(UNWILLING, attempts=2)
    assert client.send_task(f"{UNWILLING}.postpone", ("tried", 5)).get(timeout=DEADLINE) == "tried"
    assert len(notes(folder, "tried")) == 6
    worker.counts(succeeded=1, failed=0, parked=0)
    assert worker.stop() == 0
    assert kept(client) == 0


def test_a_next_try_that_cannot_be_sent_is_no_death(serve: Serve, client: Application, folder: Path) -> None:
    """A task whose next try the broker does not take asks again, however often, and has all its retries."""
    worker = serve(UNWILLING, attempts=2, variables={"CHORES_SEND": "5"})
    assert client.send_task(f"{UNWILLING}.insist", ("tried",)).get(timeout=DEADLINE) == "tried"
    assert [line.split()[1] for line in notes(folder, "tried")] == ["0"] * 6 + ["1"]
    worker.counts(succeeded=1, failed=0, parked=0)
    assert worker.stop() == 0
    assert kept(client) == 0


def test_a_next_try_that_can_never_be_sent_fails(serve: Serve, client: Application, folder: Path) -> None:
    """A task that asks to be tried again with what is not JSON has failed with the words that say so, and is parked."""
    serve(UNWILLING)
    with pytest.raises(Exception, match="object") as failed:
        client.send_task(f"{UNWILLING}.ask_wrongly", ("tried",)).get(timeout=DEADLINE)
    assert not isinstance(failed.value, WorkerLostError)
    wait_until(lambda: kept(client, parking.PARKED) == 1, what="it is parked")
    assert len(notes(folder, "tried")) == 1


@pytest.mark.parametrize("broker", ["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)], indirect=True)
def test_a_result_that_finds_no_room_is_no_death(serve: Serve, client: Application, folder: Path) -> None:
    """A task whose result could not be stored for minutes comes back, however often, until there is room."""
    serve(UNWILLING, attempts=2, variables={"CHORES_STORE": "5"})
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert len(notes(folder, "add")) == 6
    assert kept(client, parking.PARKED) == 0


def test_what_follows_a_done_task_is_sent(serve: Serve, client: Application, folder: Path) -> None:
    """A task that is done and comes back is not run again, however often what follows it cannot be sent."""
    steps = client.signature(f"{CHORES}.add", (1, 2)) | client.signature(f"{CHORES}.add", (4,))
    last = steps.apply_async()
    client.backend.store_result(last.parent.id, 3, "SUCCESS")
    with client.connection_for_write() as connection:
        message = wait_until(client.amqp.queues["celery"](connection.default_channel).get, what="it is there")
        serve(UNWILLING, attempts=2, variables={"CHORES_SEND": "5"}).ready()
        message.reject(requeue=True)
    assert last.get(timeout=DEADLINE) == 7
    assert len(notes(folder, "send")) == 6
    assert [line.split()[1:] for line in notes(folder, "add")] == [["3", "4"]]


def test_others_have_their_turn(serve: Serve, client: Application, folder: Path) -> None:
    """What a task that gives itself back waits for may be a task behind it in the queue."""
    client.send_task(f"{UNWILLING}.postpone_until", ("add",))
    result = client.send_task(f"{CHORES}.add", (1, 2))
    serve(UNWILLING, concurrency=1)
    assert result.get(timeout=DEADLINE) == 3
