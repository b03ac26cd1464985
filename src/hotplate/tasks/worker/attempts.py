"""Whether a message has been tried before, and how often it may be."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from celery import Celery, Task, states

from hotplate.tasks.worker.loose import Message

_log = logging.getLogger("hotplate.tasks")

SETTING: Final = "hotplate_attempts"
DEFAULT: Final = 5
PAUSE_SETTING: Final = "hotplate_unknown_pause"
PAUSE: Final = 1.0  # seconds before a task that no worker knows is given back for the first time
_GROWTH: Final = 4  # so that five times last six minutes: longer than machines are updated one after the other
_LONGEST: Final = 3600.0
_OF_A_BEAT: Final = "celery_beat_task"  # header of Celery's
_OF_A_TICK: Final = 5  # version of a tick's id (`beat.schedule`); Celery's own are random


def limit(app: Celery) -> int:
    """Return how often a task may be tried that loses its process each time."""
    return max(1, int(app.conf.get(SETTING) or DEFAULT))


def came_back(message: Message) -> bool:
    """Return whether somebody took this message before, and neither acknowledged nor republished it."""
    return bool((message.delivery_info or {}).get("redelivered"))


def lost(message: Message, now: datetime | None = None) -> bool:
    """Return whether somebody took this message before, and was lost while the task ran, as far as can be told.

    A task with an ETA is taken early and waits in the worker's memory: before its time it has not run.

    Args:
        message: as received.
        now: replaced in tests.
    """
    if not came_back(message):
        return False
    return _eta(message.headers) <= (now or datetime.now(UTC))


def is_tick(message: Message) -> bool:
    """Return whether a beat of ours has sent this message: then its id is that of one tick, however often it was sent.

    An id that the schedule itself names is the same at every tick.
    """
    if not message.headers.get(_OF_A_BEAT):
        return False
    try:
        return UUID(str(message.headers.get("id"))).version == _OF_A_TICK
    except ValueError:
        return False


def is_done(task: Task, message: Message) -> bool:
    """Return whether a task's result says that it succeeded, so that only its acknowledgement was lost.

    Members of a group are run again: whether the group has heard of them cannot be told.

    Args:
        task: that the message asks for.
        message: as received.
    """
    if not task.app.conf.worker_deduplicate_successful_tasks or message.headers.get("group"):
        return False
    if task.ignore_result or message.headers.get("ignore_result"):
        return False
    try:
        return bool(task.backend.get_task_meta(message.headers["id"], cache=False)["status"] == states.SUCCESS)
    except Exception as error:  # noqa: BLE001  a backend may raise anything; it is run again then
        _log.warning("Cannot tell whether %s was done: %s", task.name, error)
        return False


def number(headers: Mapping[str, Any], header: str) -> int:
    """Return the number in a header of ours; 0 if there is none."""
    value = headers.get(header)
    return value if isinstance(value, int) and value >= 0 else 0


def pause(app: Celery, given_back: int) -> float:
    """Return after how many seconds a task that no worker knows is given back.

    Args:
        app: Celery's.
        given_back: how often it has been so far.

    Example:
        >>> [pause(Celery(), number) for number in range(5)]
        [1.0, 4.0, 16.0, 64.0, 256.0]
    """
    return float(min(_LONGEST, (app.conf.get(PAUSE_SETTING) or PAUSE) * _GROWTH**given_back))


def _eta(headers: Mapping[str, Any]) -> datetime:
    try:
        eta = datetime.fromisoformat(headers.get("eta") or "")
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return eta if eta.tzinfo else eta.replace(tzinfo=UTC)
