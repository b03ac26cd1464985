"""An app of Celery's alone: what its user wrote long before Hotplate."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("plain", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])


@app.task
def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


@app.task
def fail() -> None:
    """Raise."""
    message = "plainly"
    raise ValueError(message)
