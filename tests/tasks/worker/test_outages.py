"""A worker whose broker is away: ready all the same, says why it waits, comes back, leaves when told to."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hotplate.tasks.app import Application
from tests.support.brokers import Broker
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"
WITH_A_SERVER = pytest.mark.parametrize(
    "broker",
    [pytest.param("redis", marks=pytest.mark.redis), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)],
    indirect=True,
)

pytestmark = [pytest.mark.process, WITH_A_SERVER]


def test_ready_before_the_broker(serve: Serve, client: Application, broker: Broker) -> None:
    """A worker is ready without its broker, says that it waits, and works as soon as the broker is there."""
    broker.stop()
    worker = serve()
    assert len(worker.ready()) == 2
    counts = worker.counts(broker="waiting")
    wait_until(lambda: worker.counts()["problem"], what="it says why")
    assert counts["received"] == 0
    broker.start()
    worker.counts(broker="connected", problem="")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert worker.log.count("Waiting for the broker") == 1
    assert "Connected to the broker" in worker.log
    assert "Traceback" not in worker.log


def test_leaves_before_the_broker(serve: Serve, client: Application, broker: Broker) -> None:
    """A worker that waits for its broker leaves when told to."""
    broker.stop()
    worker = serve()
    wait_until(lambda: worker.counts()["problem"], what="it waits")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_leaves_a_silent_broker(serve: Serve, client: Application, broker: Broker) -> None:
    """So does one whose broker accepts connections and says nothing."""
    with broker.frozen():
        worker = serve()
        worker.ready()
        worker.counts(broker="waiting")
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0


def test_broker_goes_away_and_comes_back(serve: Serve, client: Application, broker: Broker, folder: Path) -> None:
    """When the broker is restarted, the worker says so, comes back to it, and what ran meanwhile is done."""
    worker = serve().connected()
    client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    broker.kill()
    worker.counts(broker="waiting")
    (folder / "long").touch()
    wait_until(lambda: notes(folder, "long.done"), what="the task has ended")
    broker.start()
    worker.counts(broker="connected")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert worker.stop() == 0
    assert serve().connected().stop() == 0
    assert len(notes(folder, "long.began")) == 1


def test_what_runs_on_is_not_run_twice(serve: Serve, client: Application, broker: Broker, folder: Path) -> None:
    """A task that runs while its broker is restarted runs on, and is acknowledged in the end."""
    worker = serve().connected()
    sent = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    broker.kill()
    worker.counts(broker="waiting")
    broker.start()
    worker.counts(broker="connected")
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    (folder / "long").touch()
    wait_until(lambda: client.AsyncResult(sent.id).state == "SUCCESS", what="it is done")
    assert worker.stop() == 0
    assert serve().connected().stop() == 0
    assert len(notes(folder, "long.began")) == 1


def test_leaves_after_the_broker(serve: Serve, client: Application, broker: Broker, folder: Path) -> None:
    """A worker that lost its broker leaves when told to, after what runs."""
    worker = serve().connected()
    client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    broker.kill()
    worker.counts(broker="waiting")
    worker.send(signal.SIGTERM)
    (folder / "long").touch()
    assert worker.wait() == 0
    assert notes(folder, "long.done")


def test_a_wrong_password_is_waited_for_too(
    serve: Serve, client: Application, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that its broker does not let in says so, without the password, and leaves when told to."""
    scheme, _, rest = broker.url.partition("://")
    monkeypatch.setenv("CELERY_BROKER_URL", f"{scheme}://somebody:wrongpass@{rest.rpartition('@')[2]}")
    worker = serve()
    wait_until(lambda: worker.counts(broker="waiting")["problem"], what="it says why")
    assert "wrongpass" not in worker.log
    assert worker.stop() == 0
