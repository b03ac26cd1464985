"""Asking the workers themselves, by Celery's remote control: what runs, from which queues, how much was done.

Every worker answers, those that Celery's own command started as well. Ours also count; only they are asked for that,
for a worker that does not know a command writes a traceback into its log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hotplate.tasks.admin.report import Rates, RunningTask, TaskWorker
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker import counting
from hotplate.tasks.worker.counting import Counts

OURS = "hotplate-*"  # what the names of our workers begin with
COUNTS = "hotplate_counts"
PATIENCE = 1.0  # seconds for an answer: Celery's own default
_SLACK = 4.0  # seconds for the broker to take the question


class Heard(NamedTuple):
    """Answers by the worker's name, as Celery gives them."""

    active: Mapping[str, Any]
    queues: Mapping[str, Any]
    stats: Mapping[str, Any]
    counts: Mapping[str, Any]


class Workers(NamedTuple):
    """What the workers' answers come to."""

    workers: tuple[TaskWorker, ...]
    running: tuple[RunningTask, ...]
    rates: Rates


def ask(app: Value, patience: float = PATIENCE) -> Heard:
    """Ask all workers, every question at the same time.

    Args:
        app: Celery's.
        patience: seconds to wait for answers; who is later counts as not there.
    """
    heard: dict[str, dict[str, Any]] = {}
    questions = [("active", {}), ("active_queues", {}), ("stats", {}), (COUNTS, {"pattern": OURS, "matcher": "glob"})]
    asking = [
        threading.Thread(target=_ask, args=(app, question, patience, heard), kwargs={"to": to}, daemon=True)
        for question, to in questions
    ]
    for each in asking:
        each.start()
    until = time.monotonic() + patience + _SLACK
    for each in asking:
        each.join(max(0.0, until - time.monotonic()))
    return Heard(*(dict(heard.get(question, {})) for question, _ in questions))


def _ask(app: Value, question: str, patience: float, heard: dict[str, dict[str, Any]], *, to: dict[str, str]) -> None:
    with app.connection_for_write() as connection:
        replies = app.control.broadcast(question, reply=True, timeout=patience, connection=connection, **to)
    heard[question] = {name: answer for reply in replies or () for name, answer in reply.items()}


def understand(heard: Heard, now: float) -> Workers:
    """Return records of what was answered; what another version says differently is left out.

    Args:
        heard: the answers.
        now: seconds since 1970.
    """
    names = sorted({name for answers in heard for name in answers})
    told = {name: found for name in names if (found := _told(heard.counts.get(name)))}
    workers = tuple(_worker(name, heard, told.get(name)) for name in names)
    running = [task for name in names for task in _running(name, heard, told.get(name), now)]
    running.sort(key=lambda task: -(task.seconds or 0.0))
    return Workers(workers, tuple(running), _rates([each.rates for each in told.values()]))


def _told(answer: object) -> Counts | None:
    try:
        return msgspec.convert(answer, Counts)
    except msgspec.ValidationError:
        return None


def _worker(name: str, heard: Heard, told: Counts | None) -> TaskWorker:
    stats = _mapping(heard.stats.get(name))
    pool = _mapping(stats.get("pool"))
    active = heard.active.get(name)
    listed = len(active) if isinstance(active, list) else 0
    return TaskWorker(
        name=name,
        kind="hotplate" if told else "celery",
        pid=_whole(stats.get("pid")),
        processes=_whole(pool.get("max-concurrency")),
        uptime=_whole(stats.get("uptime")),
        queues=tuple(str(each.get("name")) for each in _mappings(heard.queues.get(name))),
        running=len(told.running) if told else listed,
        done=told.succeeded if told else None,
        failed=told.failed if told else None,
        retried=told.retried if told else None,
        parked=told.parked if told else None,
        problem=told.problem if told else "",
    )


def _running(name: str, heard: Heard, told: Counts | None, now: float) -> Iterable[RunningTask]:
    if told:
        for each in told.running:
            yield RunningTask(id=each.id, task=each.name, seconds=each.seconds, worker=name)
        return
    for task in _mappings(heard.active.get(name)):
        started = task.get("time_start")  # by that machine's clock
        seconds = max(0.0, now - started) if isinstance(started, int | float) else None
        yield RunningTask(id=str(task.get("id")), task=str(task.get("name")), seconds=seconds, worker=name)


def _rates(rates: Sequence[counting.Rates]) -> Rates:
    if not rates:
        return Rates()
    return Rates(
        done=sum(each.succeeded for each in rates),
        failed=sum(each.failed for each in rates),
        retried=sum(each.retried for each in rates),
    )


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _whole(found: object) -> int | None:
    return int(found) if isinstance(found, int | float) else None
