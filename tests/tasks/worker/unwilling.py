"""Tasks of `chores` that give themselves back, on a machine where sending or storing fails so many times at first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import Reject

from hotplate.tasks.embedded import problems, results
from hotplate.tasks.embedded.resulttable import ResultTable
from hotplate.tasks.sending import BrokerUnreachable
from tests.tasks.worker import chores
from tests.tasks.worker.chores import app, note, notes

__all__ = ["app"]


def fails(what: str) -> bool:
    """Note that something was tried, and return whether it is to fail, as the environment says how often."""
    note(what)
    return len(notes(chores.FOLDER, what)) <= int(os.environ.get(f"CHORES_{what.upper()}", "0"))


@app.task
def postpone(name: str, times: int) -> str:
    """Give itself back so often, then be done."""
    note(name)
    if len(notes(chores.FOLDER, name)) <= times:
        raise Reject("the lock is taken", requeue=True)
    return name


@app.task
def postpone_until(name: str) -> str:
    """Give itself back until something is noted."""
    if not notes(chores.FOLDER, name):
        raise Reject("it is too early", requeue=True)
    return name


@app.task(bind=True)
def insist(self: Any, name: str) -> str:
    """Be done at the second try."""
    note(name, str(self.request.retries))
    if not self.request.retries:
        raise self.retry(countdown=0)
    return name


@app.task(bind=True, max_retries=None)
def ask_wrongly(self: Any, name: str) -> None:
    """Ask to be tried again with what cannot be sent."""
    note(name)
    raise self.retry(args=(object(),), countdown=0)


@app.task(ignore_result=True)
def hold_silently(name: str) -> None:
    """Do what `hold` does, and keep no result by which it could be known again."""
    chores.hold.run(name)


_send = app.send_task
_write = ResultTable._write


def _hesitant(name: str, *arguments: Any, **options: Any) -> Any:
    if fails("send"):
        raise BrokerUnreachable(f"send {name}", "it is away", "Start it.")
    return _send(name, *arguments, **options)


@contextmanager
def _full(self: ResultTable) -> Iterator[Any]:
    if fails("store"):
        raise problems.full(chores.FOLDER, "disk full")
    with _write(self) as writing:
        yield writing


if "CHORES_SEND" in os.environ:
    app.send_task = _hesitant  # type: ignore[method-assign]  # what is away is replaced
if "CHORES_STORE" in os.environ:
    app.conf.task_track_started = False  # it stores nothing but results
    results._PAUSE, results._PATIENCE = 0.01, 0.0
    ResultTable._write = _full  # type: ignore[method-assign]  # what is full is replaced
