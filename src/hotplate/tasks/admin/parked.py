"""Parked tasks as messages, read for people.

A parked task is a message in the queue `hotplate.parked`, body and headers as they were, with one more header that says
why, where from and when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from hotplate.tasks.admin.report import ParkedReport, ParkedTask
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import HEADER

_LONGEST = 500  # characters of a detail


class Entry(NamedTuple):
    """A message in the queue of parked tasks.

    Args:
        task: what it is.
        message: kombu's.
        remove: takes it out of the queue of parked tasks for good.
    """

    task: ParkedTask
    message: Value
    remove: Callable[[], object]


def read(headers: Mapping[str, Any]) -> ParkedTask:
    """Return what the headers of a parked message say; whatever they lack is empty.

    Example:
        >>> read({"id": "7", "task": "mail.send", "hotplate-parked": {"reason": "poison", "queue": "celery"}}).reason
        'poison'
    """
    note = headers.get(HEADER)
    note = note if isinstance(note, Mapping) else {}
    said = note.get("at")
    at = float(said) if isinstance(said, int | float) else 0.0
    return ParkedTask(
        id=str(headers.get("id") or f"at-{at:.3f}"),  # what is no task has no id
        task=str(headers.get("task") or ""),
        reason=str(note.get("reason") or "unknown"),
        queue=str(note.get("queue") or "celery"),
        at=at,
        detail=str(note.get("detail") or "")[:_LONGEST],
    )


def distinct(tasks: Iterable[ParkedTask]) -> list[ParkedTask]:
    """Return each task once, the one parked first first; of copies that a killed `retry` left, the newest counts.

    Example:
        >>> one, again = read({"id": "7", HEADER: {"at": 1}}), read({"id": "7", HEADER: {"at": 2}})
        >>> [task.at for task in distinct([again, one])]
        [2.0]
    """
    newest: dict[str, ParkedTask] = {}
    for task in tasks:
        if task.id not in newest or newest[task.id].at <= task.at:
            newest[task.id] = task
    return sorted(newest.values(), key=lambda task: task.at)


def summary(tasks: Iterable[ParkedTask], newest: int) -> ParkedReport:
    """Return how many are parked for which reason, and the newest.

    Args:
        tasks: parked ones; the same one may be there twice.
        newest: how many of the newest are wanted.
    """
    each = distinct(tasks)
    reasons = Counter(task.reason for task in each)
    return ParkedReport(total=len(each), reasons=dict(reasons.most_common()), newest=tuple(each[::-1][:newest]))
