"""Who is told to stop while a task runs keeps that task to its end, however long it takes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import redis

from hotplate.tasks.app import Application
from hotplate.tasks.redis import scripts
from hotplate.tasks.redis.owners import LOOKS
from tests.support.brokers import Broker
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"
ON_REDIS = pytest.mark.parametrize("broker", [pytest.param("redis", marks=pytest.mark.redis)], indirect=True)

pytestmark = pytest.mark.process


def looked(broker: Broker, times: int) -> None:
    """Wait until the one who looks after the others, here called a successor, has done so that often."""
    with redis.Redis.from_url(broker.url) as client:

        def count() -> int:
            said = client.hgetall(scripts.OWNERS)
            return max([int(each) for name, each in said.items() if name.startswith(b"successor@")], default=0)

        until = wait_until(count, what="the successor looks") + times
        wait_until(lambda: count() >= until, what=f"it has looked {times} times")


def test_a_task_that_runs_when_its_worker_is_told_to_stop_runs_once(
    serve: Serve, client: Application, folder: Path
) -> None:
    """The worker finishes it, whichever the broker, and a second one that is there meanwhile leaves it alone."""
    stopped = serve(concurrency=1)
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    stopped.send(signal.SIGTERM)
    serve(concurrency=2).connected()
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    (folder / "long").touch()
    assert stopped.wait() == 0
    assert client.send_task(f"{CHORES}.add", (3, 4)).get(timeout=DEADLINE) == 7
    assert running.get(timeout=DEADLINE) == "long"
    assert len(notes(folder, "long.began")) == 1


@ON_REDIS
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_other_machines_see_that_a_worker_which_stops_still_runs_its_task(
    serve: Serve, client: Application, folder: Path, broker: Broker, pool: str
) -> None:
    """For as long as the task takes, longer than a machine that is gone is waited for: whatever runs the tasks."""
    hasty = "tests.tasks.worker.hasty"
    stopped = serve(hasty, {"CHORES_PLACE": "here", "CHORES_POOL": pool}, name="stopped@here", concurrency=1)
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    serve(hasty, {"CHORES_PLACE": "there"}, name="successor@there").connected()
    stopped.send(signal.SIGTERM)
    looked(broker, LOOKS + LOOKS // 2)
    assert len(notes(folder, "long.began")) == 1
    (folder / "long").touch()
    assert stopped.wait() == 0
    assert running.get(timeout=DEADLINE) == "long"
    assert len(notes(folder, "long.began")) == 1
