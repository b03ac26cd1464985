"""What `hotplate tasks` writes for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hotplate.cli.table import aligned
from hotplate.cli.ui import clean
from hotplate.settings.units import show_age, show_duration_roughly

if TYPE_CHECKING:
    from hotplate.cli.ui import Look
    from hotplate.tasks.admin.report import (
        BrokerReport,
        ParkedTask,
        Purged,
        QueueReport,
        Retried,
        TasksReport,
        TaskWorker,
    )

QUEUES = ("queue", "waiting", "delayed", "taken", "oldest", "workers")
WORKERS = ("worker", "pid", "processes", "running", "done", "failed", "retried", "parked", "up")
_SHOWN = 20  # running tasks
_DETAIL = 60  # characters
_KINDS = {"embedded": "a file of this machine", "redis": "Redis", "amqp": "RabbitMQ", "other": "a broker"}


def status_lines(report: TasksReport, look: Look, now: float) -> Iterator[str]:
    """Yield what is shown of how the tasks go.

    Args:
        report: how.
        look: of the stream it is written to.
        now: seconds since 1970.
    """
    yield look.paint(_head(report), "bold", "green" if report.healthy else "red")
    for problem in report.problems:
        what = problem.what[:1].upper() + problem.what[1:]
        yield look.paint(clean(f"{what}. {problem.remedy}"), "red")
    yield ""
    facts = {
        "Broker": _broker(report.broker),
        "Lately": _minute(report),
        "Parked": _reasons(report.parked.reasons),
    }
    yield from (f"  {label:<8}{clean(fact)}" for label, fact in facts.items() if fact)
    yield from _table(look, QUEUES, map(_queue, report.queues), left=[0])
    yield from _table(look, WORKERS, map(_worker, report.workers), left=[0])
    rows = [(task.id, task.task, _seconds(task.seconds), task.worker) for task in report.running[:_SHOWN]]
    yield from _table(look, ("running", "task", "for", "worker"), rows, left=[0, 1, 3])
    if len(report.running) > _SHOWN:
        yield f"and {len(report.running) - _SHOWN} more"
    yield from _parked(report, look, now)


def retried_lines(done: Retried) -> Iterator[str]:
    """Yield what is told after a retry."""
    if not done.retried:
        yield "Nothing was tried again: no such task is parked" if done.left else "Nothing is parked"
        return
    count = len(done.retried)
    yield f"{count} {'task waits' if count == 1 else 'tasks wait'} in {_queues(done.retried)} again; {done.left} parked"


def purged_lines(done: Purged) -> Iterator[str]:
    """Yield what is told after a purge."""
    yield f"{_tasks(done.purged)} thrown away from {done.queue}" if done.purged else f"Nothing waited in {done.queue}"


def about_to_purge(queue: str, count: int, where: str, *, parked: bool) -> str:
    """Return the question before tasks are thrown away."""
    tasks, wait, they = ("task", "waits", "It") if count == 1 else ("tasks", "wait", "They")
    what = f"parked {tasks}" if parked else f"{tasks} that {wait} in the queue {queue}"
    return f"Throw away {count:,} {what} at {_place(where)}? {they} cannot be brought back"


def _head(report: TasksReport) -> str:
    if not report.broker.answers:
        return "Tasks: the broker does not answer"
    waiting = sum(queue.depth or 0 for queue in report.queues)
    workers = len(report.workers)
    said = f"{len(report.running):,} running, {waiting:,} waiting, {workers} {'worker' if workers == 1 else 'workers'}"
    return f"Tasks: {said}{f', {report.parked.total:,} parked' if report.parked.total else ''}"


def _broker(broker: BrokerReport) -> str:
    origin = "" if broker.kind == "embedded" else f" ({broker.origin})"
    return f"{_KINDS[broker.kind]}, {_place(broker.url)}{origin}"


def _place(url: str) -> str:
    return url.removeprefix("hotplate:///")


def _minute(report: TasksReport) -> str:
    minute = report.minute
    if minute.done is None:
        return ""
    return f"{minute.done:,} done, {minute.failed:,} failed, {minute.retried:,} tried again in the last minute"


def _reasons(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())


def _queue(queue: QueueReport) -> tuple[str, ...]:
    counts = (_count(queue.depth), _count(queue.delayed), _count(queue.taken))
    return queue.name, *counts, _seconds(queue.oldest), str(queue.workers)


def _worker(worker: TaskWorker) -> tuple[str, ...]:
    counts = (worker.pid, worker.processes, worker.running, worker.done, worker.failed, worker.retried, worker.parked)
    return worker.name, *(("-" if each is None else str(each)) for each in counts), _seconds(worker.uptime)


def _parked(report: TasksReport, look: Look, now: float) -> Iterator[str]:
    newest = report.parked.newest
    rows = [(task.id, task.task, task.reason, _ago(task.at, now), _short(task.detail)) for task in newest]
    yield from _table(look, ("parked", "task", "reason", "when", "why"), rows, left=[0, 1, 2, 4])
    if rows:
        more = f" (the newest {len(rows)} of {report.parked.total:,})" if len(rows) < report.parked.total else ""
        yield ""
        yield clean(f"To try them again: hotplate tasks retry {newest[0].id}, or --all{more}")


def _table(
    look: Look, head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]], left: Sequence[int]
) -> Iterator[str]:
    """Yield an empty line and the rows under their head; nothing without rows."""
    cells = [tuple(clean(cell).replace("\n", " ") for cell in row) for row in rows]
    if cells:
        yield ""
        first, *body = aligned([head, *cells], left=left)
        yield look.paint(first, "bold")
        yield from body


def _queues(tasks: Sequence[ParkedTask]) -> str:
    names = sorted({task.queue for task in tasks})
    return names[0] if len(names) == 1 else f"{len(names)} queues"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def _count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else show_age(seconds)


def _ago(at: float, now: float) -> str:
    return f"{show_duration_roughly(float(round(max(0.0, now - at))))} ago" if at else "-"


def _short(detail: str) -> str:
    return detail if len(detail) <= _DETAIL else f"{detail[: _DETAIL - 1]}…"
