"""Whether somebody has to do something, and what: decided from the records, without I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hotplate.tasks.admin.report import BrokerReport, Problem, QueueReport, TaskWorker
from hotplate.tasks.worker.parking import PARKED

_START = "Type: hotplate run (or hotplate tasks run, where no pages are to be served)."


def problems(
    broker: BrokerReport, cause: str, queues: Sequence[QueueReport], workers: Sequence[TaskWorker], remedy: str = ""
) -> tuple[Problem, ...]:
    """Return what is wrong; () for nothing.

    Args:
        broker: where the tasks lie.
        cause: why it does not answer; "" when it does.
        queues: what lies there.
        workers: who answered.
        remedy: what the broker itself advises, if it does not answer.

    Example:
        >>> broker = BrokerReport(kind="redis", url="redis://cache", origin="REDIS_URL", answers=False)
        >>> problems(broker, "Connection refused", (), ())[0].what
        'the broker at redis://cache does not answer: Connection refused'
    """
    if not broker.answers:
        return (_silent(broker, cause, remedy),)
    return (*_unserved(queues, workers), *_complaints(workers))


def _silent(broker: BrokerReport, cause: str, remedy: str) -> Problem:
    what = f"the broker at {broker.url} does not answer: {cause}"
    if broker.kind == "embedded":
        return Problem(what, remedy or "Make the file readable and writable for this user; tasks stay in it.")
    start = {"redis": "systemctl start redis-server", "amqp": "systemctl start rabbitmq-server"}.get(broker.kind)
    started = f"Start it ({start}), or correct" if start else "Start it, or correct"
    return Problem(what, f"{started} {broker.origin}. What workers have accepted before goes on when it is back.")


def _unserved(queues: Sequence[QueueReport], workers: Sequence[TaskWorker]) -> Iterator[Problem]:
    """Yield a line for what waits without a worker that would take it."""
    waiting = [queue for queue in queues if queue.name != PARKED and (queue.depth or queue.delayed)]
    if not workers:
        count = sum((queue.depth or 0) + (queue.delayed or 0) for queue in waiting)
        if count:
            yield Problem(f"{_tasks(count)}, and no worker answers", _START)
        return
    for queue in waiting:
        if not queue.workers and queue.depth:
            yield Problem(
                f"{_tasks(queue.depth)} in the queue {queue.name}, which no worker takes from",
                f"Start a worker for it, or throw them away: hotplate tasks purge {queue.name}",
            )


def _complaints(workers: Sequence[TaskWorker]) -> Iterator[Problem]:
    for worker in workers:
        if worker.problem:
            yield Problem(f"{worker.name}: {worker.problem}", "Its log says more.")


def _tasks(count: int) -> str:
    return "1 task waits" if count == 1 else f"{count:,} tasks wait"
