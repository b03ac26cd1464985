"""A broker that goes away and comes back has lost nothing."""

from __future__ import annotations

import os

import pytest

from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.brokers.bench import MODULE, Bench, fresh, runs
from tests.tasks.brokers.judging import twice_for_no_reason
from tests.tasks.brokers.work import note

SERVERS = [
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]

pytestmark = [pytest.mark.process, pytest.mark.parametrize("shared", SERVERS, indirect=True)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_is_started_again_has_lost_nothing(at: Bench, end: str) -> None:
    """After a restart of the broker, workers and producers go on by themselves; what ran and what waited is done."""
    main = at.worker()
    running, waiting, later = fresh(2), fresh(20), fresh(20)
    for which in running:
        at.send("hold", which)
    at.wait("began", running)
    for which in waiting:
        at.send("do", which)
    getattr(at.broker, end)()
    note("broker", end, os.getpid(), folder=at.folder)
    producer = at.producer(later)
    at.broker.start()
    for which in running:
        at.open(which)
    at.wait("done", running + waiting + later)
    assert at.worker() == main
    assert twice_for_no_reason(at.lines()) == []
    at.renew()
    assert at.client.send_task(f"{MODULE}.add", (1, 2)).get(timeout=DEADLINE) == 3
    wait_until(lambda: not runs(producer), what="the producer has sent all")


def test_a_broker_that_pauses_has_lost_nothing(at: Bench) -> None:
    """While the broker does nothing, what runs goes on; afterwards everybody does, and nothing runs twice."""
    main = at.worker()
    running, waiting, later = fresh(2), fresh(5), fresh(5)
    for which in running:
        at.send("hold", which)
    at.wait("began", running)
    for which in waiting:
        at.send("do", which)
    with at.broker.frozen():
        producer = at.producer(later)
        at.wait("sending", later[:1])
        for which in running:
            at.open(which)
        at.wait("done", running)
    at.wait("done", waiting + later)
    wait_until(lambda: not runs(producer), what="the producer has sent all")
    assert at.worker() == main
    assert twice_for_no_reason(at.lines()) == []
