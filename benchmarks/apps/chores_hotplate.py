"""The chores as a user of Hotplate has them."""

from __future__ import annotations

from flask import Flask

import hotplate.tasks
from benchmarks.apps import chores

__all__ = ["app", "celery", "chores"]

app = Flask("chores")
celery = hotplate.tasks.celery(app)


@app.get("/")
def hello() -> str:
    """Answer at once."""
    return "Hello, World!"
