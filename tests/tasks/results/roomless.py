"""An app for real workers whose disk is full until its task has run twice; each run is a line in a file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery

import hotplate.tasks  # noqa: F401 - makes the embedded broker known
from hotplate.tasks.embedded import problems, results
from hotplate.tasks.embedded.resulttable import ResultTable

URL = os.environ.get("CELERY_BROKER_URL", "")
RUNS = Path(os.environ.get("RUNS", "/nonexistent"))

app = Celery("roomless", broker=URL, backend=URL, set_as_current=False)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)

if RUNS.parent.exists():
    results._PAUSE, results._PATIENCE = 0.01, 0.05
    _write = ResultTable._write

    @contextmanager
    def _full(self: ResultTable) -> Iterator[Any]:
        if len(RUNS.read_text().splitlines()) < 2:
            raise problems.full(RUNS, "disk full")
        with _write(self) as writing:
            yield writing

    ResultTable._write = _full  # type: ignore[method-assign] # what is full is replaced


@app.task(name="run", shared=False)
def run() -> int:
    """Notes that it runs."""
    with RUNS.open("a") as runs:
        runs.write("ran\n")
    return len(RUNS.read_text().splitlines())
