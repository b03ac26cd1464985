"""A broker that goes away and comes back has lost nothing."""

from __future__ import annotations

import os

import pytest

from tests.support.waiting import wait_until
from tests.tasks.brokers.bench import Bench, fresh, runs
from tests.tasks.brokers.judging import twice_for_no_reason
from tests.tasks.brokers.work import note

SERVERS = [
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
]

pytestmark = [pytest.mark.process, pytest.mark.parametrize("shared", SERVERS, indirect=True)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_is_started_again_has_lost_nothing(at: Bench, end: str) -> None:
    """After a restart, workers and producers go on by themselves; what ran, waited or was sent meanwhile is done.

    A task that ends while the broker is away has its result afterwards, and does not count as one that failed.
    """
    main = at.worker()
    running, waiting, later = fresh(2), fresh(20), fresh(20)
    results = [at.send("hold", which) for which in running]
    at.wait("began", running)
    for which in waiting:
        at.send("do", which)
    note("broker", end, os.getpid(), folder=at.folder)
    getattr(at.broker, end)()
    note("broker", end, os.getpid(), folder=at.folder)
    producer = at.producer(later)
    for which in running:
        at.open(which)
    at.wait("done", running)
    at.broker.start()
    at.wait("done", waiting + later)
    wait_until(lambda: not runs(producer), what="the producer has sent all")
    at.renew()
    for result in results:
        wait_until(lambda task=result.id: at.client.AsyncResult(task).state == "SUCCESS", what="it has succeeded")  # type: ignore[misc]  # a default binds it
    assert at.parked() == 0
    assert at.worker() == main
    assert twice_for_no_reason(at.lines()) == []


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
