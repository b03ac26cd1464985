"""Who has taken a message keeps it for as long as it lives, and others see that it does."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from kombu import asynchronous

from hotplate.tasks.redis import pulse, scripts, transport
from hotplate.tasks.redis.owners import LOOKS, Owner
from tests.support.waiting import wait_until
from tests.tasks.redis.conftest import Open
from tests.tasks.redis.sides import owners, taken, waiting

pytestmark = pytest.mark.redis

_asynchronous: Any = asynchronous  # without types


def test_who_stands_still_loses_what_it_took_and_runs_it_twice_at_most(side: Open, client: redis.Redis) -> None:
    """A process that was paused too long finds its messages taken by others; its acknowledgement then harms nobody."""
    side().send("long")
    paused, other = side(), side()
    # Where nobody sees that it lives.
    paused.transport._owner = Owner("", "elsewhere", os.getpid(), "4711", "c0ffee")
    transport._transports.discard(paused.transport)
    (first,) = paused.take()
    paused.look()
    other.listen()
    other.look(LOOKS - 1)
    assert taken(client) == 1
    other.look()
    (second,) = other.take()
    assert (second.payload, second.delivery_info["redelivered"]) == ("long", True)
    first.ack()
    assert taken(client) == 1
    paused.send("next")
    (third,) = paused.take()
    other.look()
    assert paused.owner in owners(client)  # whoever takes is known, even if it was thought gone
    second.ack()
    third.ack()
    assert (waiting(client), taken(client)) == (0, 0)


def test_who_counts_keeps_what_it_took_for_ever(side: Open, client: redis.Redis) -> None:
    """No task runs twice because it is long."""
    side().send("long")
    worker, other = side(), side()
    worker.take()
    for _ in range(3 * LOOKS):
        worker.look()
        other.look()
    assert taken(client) == 1


def test_who_is_too_busy_to_look_is_known_to_live(
    side: Open, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a task runs in place of the loop that receives, others elsewhere still hear of its process."""
    monkeypatch.setattr(transport, "PAUSE", 0.01)
    side().send("long")
    worker = side()
    worker.take()

    def count() -> int:
        return int(client.hget(scripts.OWNERS, worker.owner) or 0)

    before = count()
    wait_until(lambda: count() > before + 3, what="it is heard of again and again")
    worker.connection.close()
    assert owners(client) == set()


def test_who_stops_to_receive_looks_until_its_tasks_have_ended(
    side: Open, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer of an event loop goes on while something is taken and not acknowledged, and rests afterwards."""
    monkeypatch.setattr(transport, "PAUSE", 1e-9)
    monkeypatch.setattr(pulse, "keep", Mock())
    side().send("long")
    worker, hub = side(), _asynchronous.Hub()
    worker.connection.register_with_event_loop(hub)
    (message,) = worker.take()
    worker._consumer.cancel()

    def count() -> int:
        for entry in [scheduled.entry for scheduled in hub.timer.queue if not scheduled.entry.canceled]:
            entry()
        return int(client.hget(scripts.OWNERS, worker.owner) or 0)

    counts = [count() for _ in range(3)]
    assert counts == sorted(set(counts))
    message.ack()
    assert count() == counts[-1]
