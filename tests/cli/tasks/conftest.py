"""A folder with an app in it, and tasks in the file of its embedded broker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hotplate.tasks.embedded.location import url
from tests.support.brokers import Broker
from tests.tasks.admin.conftest import Opened


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the embedded broker, nothing else being said about brokers; the test is in a folder of its own."""
    for name in ("CELERY_BROKER_URL", "HOTPLATE_BROKER_URL", "REDIS_URL", "HOTPLATE_NAME", "PWD", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    path = tmp_path / "state"
    monkeypatch.setenv("HOTPLATE_TASKS_DIR", str(path))
    return path


@pytest.fixture
def opened(state: Path) -> Opened:
    """Its broker, empty."""
    state.mkdir(mode=0o700)
    where = url(state / "shop.sqlite")
    opened = Opened(Broker(kind="embedded", url=where, results=where))
    opened.send("celery")  # which makes the file
    with opened.app.connection_for_write() as connection:
        opened.app.amqp.queues["celery"](connection.default_channel).declare()
    return opened
