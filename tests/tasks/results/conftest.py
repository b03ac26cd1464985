"""An app whose broker and results are one embedded file, and a worker of it in threads of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

import hotplate.tasks  # noqa: F401 - makes the embedded broker known before Celery is imported

LIMIT = 100_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a file of the test's own."""
    return f"hotplate:///{tmp_path}/tasks.sqlite"


@pytest.fixture
def app(url: str) -> Celery:
    """An app with the settings that Hotplate gives."""
    app = Celery("results", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_track_started=True,
        result_extended=True,
        result_expires=3600,
        hotplate_result_limit=LIMIT,
        worker_hijack_root_logger=False,
    )

    @app.task(name="add", shared=False)
    def add(one: int, other: int) -> int:
        return one + other

    @app.task(name="total", shared=False)
    def total(numbers: list[int]) -> int:
        return sum(_flat(numbers))

    @app.task(name="fail", shared=False)
    def fail(words: str) -> None:
        raise ValueError(words)

    @app.task(name="letters", shared=False)
    def letters(count: int, _padding: str = "") -> str:
        return "x" * count

    @app.task(name="report", shared=False, bind=True)
    def report(self: Any, size: int) -> None:
        self.update_state(state="PROGRESS", meta={"done": "x" * size})

    return app


@pytest.fixture
def worker(app: Celery) -> Iterator[None]:
    """A worker of four threads."""
    with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False, shutdown_timeout=60):
        yield


def _flat(numbers: Any) -> list[int]:
    return [part for number in numbers for part in (_flat(number) if isinstance(number, list) else [number])]
