"""A worker takes from several queues at once, on every broker."""

from __future__ import annotations

import pytest

from hotplate.tasks.app import Application
from tests.support.waiting import DEADLINE
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"

pytestmark = pytest.mark.process


def test_tasks_of_each_queue_are_run(serve: Serve, client: Application) -> None:
    """Those that were sent before it came, and those after."""
    queues = ("celery", "mail", "sums")
    early = [client.send_task(f"{CHORES}.add", (1, number), queue=queue) for number, queue in enumerate(queues)]
    serve(queues=queues).connected()
    late = [client.send_task(f"{CHORES}.add", (5, number), queue=queue) for number, queue in enumerate(queues)]
    assert [result.get(timeout=DEADLINE) for result in (*early, *late)] == [1, 2, 3, 5, 6, 7]
