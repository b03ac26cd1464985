"""An app of Celery's alone, by another name than its file's: what a worker of Hotplate serves as it finds it."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.worker.consumer import Consumer

from tests.tasks.worker.chores import note

app = Celery("foreign", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.hotplate_unknown_pause = float(os.environ.get("CHORES_PAUSE", "0.05"))


class Own(Consumer):
    """What its user made for tasks that are not known."""

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """Note it, and do what Celery does."""
        note("own", str(exc))
        super().on_unknown_task(body, message, exc)


if os.environ.get("FOREIGN_OWN"):
    app.conf.worker_consumer = Own


@app.task(name="foreign.double")
def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


if os.environ.get("FOREIGN_NEW"):

    @app.task(name="foreign.invented")
    def invented() -> str:
        """Be there in a newer version only."""
        return "new"
