"""A worker's main process forks while it is connected: its children leave its connections alone."""

from __future__ import annotations

import os

from hotplate.tasks.app import Application
from hotplate.tasks.worker.children import hang_up
from tests.tasks.worker.test_outages import WITH_A_SERVER


@WITH_A_SERVER
def test_a_fork_breaks_no_connection(client: Application) -> None:
    """What the main process publishes after a fork is published once, by a connection that still works."""
    with client.producer_or_acquire() as producer:
        producer.publish({}, routing_key="celery", declare=[client.amqp.queues["celery"]])
    hang_up()
    child = os.fork()
    if child == 0:
        from billiard.util import _run_after_forkers

        _run_after_forkers()
        os._exit(0)
    os.waitpid(child, 0)
    with client.producer_or_acquire() as producer:
        producer.publish({}, routing_key="celery", retry=False)
        assert client.amqp.queues["celery"](producer.channel).queue_declare(passive=True).message_count == 2
