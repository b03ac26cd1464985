"""Tasks of `chores` that give themselves back, and one that forgets its result."""

from __future__ import annotations

from typing import Any

from celery.exceptions import Reject

from hotplate.tasks.sending import BrokerUnreachable
from tests.tasks.worker import chores
from tests.tasks.worker.chores import app, note, notes

__all__ = ["app"]


@app.task
def postpone(name: str, times: int) -> str:
    """Give itself back so often, then be done."""
    note(name)
    if len(notes(chores.FOLDER, name)) <= times:
        raise Reject("the lock is taken", requeue=True)
    return name


@app.task(bind=True, max_retries=None)
def insist(self: Any, name: str, times: int) -> str:
    """Ask to be tried again; the first so many times the broker does not take that."""
    note(name)
    tried = len(notes(chores.FOLDER, name))
    if tried > times:
        return name
    send = app.send_task

    def refuse(*_: object, **__: object) -> None:
        raise BrokerUnreachable("send insist", "it is away", "Start it.")

    app.send_task = refuse  # type: ignore[method-assign]  # as if the broker were away for this message alone
    try:
        raise self.retry(countdown=0)
    finally:
        app.send_task = send  # type: ignore[method-assign]  # what it was


@app.task(ignore_result=True)
def hold_silently(name: str) -> None:
    """Do what `hold` does, and keep no result by which it could be known again."""
    chores.hold.run(name)
