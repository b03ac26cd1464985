"""Celery apps that leave no trace: Celery keeps the current one in global places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakSet

import pytest
from celery import _state
from celery.app.trace import build_tracer

from hotplate.tasks.app import Application
from hotplate.tasks.app import make as make_app

Make = Callable[..., Application]
Run = Callable[..., Any]
ENVIRONMENT = (
    "CELERY_BROKER_URL",
    "CELERY_BROKER_READ_URL",
    "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
    "REDIS_URL",
)


@pytest.fixture(autouse=True)
def _left_as_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOTPLATE_TASKS_DIR", str(tmp_path / "state"))
    before, current, finalizers = _state.default_app, _state._tls.current_app, set(_state._on_app_finalizers)
    # Apps of tests of other folders that ran in this process are none of a test's here.
    monkeypatch.setattr(_state, "_apps", WeakSet())
    _state.set_default_app(None)
    _state._set_current_app(None)
    yield
    for app in set(_state._apps):
        app.close()
    _state.set_default_app(before)
    _state._set_current_app(current)
    _state._on_app_finalizers.intersection_update(finalizers)


@pytest.fixture
def make() -> Make:
    """Makes a Celery app whose messages and results stay in memory, unless told otherwise."""

    def made(name: str = "shop", *, without_broker: Any = "fail", **conf: Any) -> Application:
        conf = {"broker_url": "memory://", "result_backend": "cache+memory://", **conf}
        return make_app(name, without_broker, conf)

    return made


@pytest.fixture
def run() -> Run:
    """Runs a task the way a worker does, and returns its id, state and result."""

    def ran(task: Any, *args: Any, **kwargs: Any) -> tuple[str, str, Any]:
        identity = str(uuid4())
        tracer = build_tracer(task.name, task, app=task.app)
        tracer(identity, args, kwargs, {"id": identity, "task": task.name, "delivery_info": {}})
        meta = task.app.backend.get_task_meta(identity)
        return identity, meta["status"], meta["result"]

    return ran
