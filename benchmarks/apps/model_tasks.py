"""The app with a model of 300 MB, and a task that uses it."""

from __future__ import annotations

import os

from celery import shared_task

import hotplate.tasks
from benchmarks.apps.model import app, look_up

__all__ = ["app", "celery"]

celery = hotplate.tasks.celery(app)


def look_up_and_say_where() -> int:
    """Touch the model; return the process."""
    look_up()
    return os.getpid()


task = shared_task(look_up_and_say_where)
