"""Trying parked tasks again, and throwing tasks away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks.admin import parked, reaching
from hotplate.tasks.admin.looking import Depth, look
from hotplate.tasks.admin.report import ParkedTask, Purged, Retried
from hotplate.tasks.brokers import Broker
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker import parking
from hotplate.tasks.worker.parking import PARKED

_SHORTEST = 4  # characters by which an id may be named


class Wanted(NamedTuple):
    """Which of the parked tasks are meant.

    Args:
        ids: their ids, or how these begin; () for all.
        reason: why they were parked; "" for whichever.
        task: their name; "" for whichever.
    """

    ids: tuple[str, ...] = ()
    reason: str = ""
    task: str = ""


def choose(tasks: Sequence[ParkedTask], wanted: Wanted) -> list[ParkedTask]:
    """Return those that are meant.

    Args:
        tasks: what is parked, each once.
        wanted: which.

    Raises:
        HotplateError: USAGE; no parked task, or more than one, has such an id.

    Example:
        >>> choose([], Wanted(reason="poison"))
        []
    """
    chosen = {_named(tasks, given).id for given in wanted.ids} if wanted.ids else {task.id for task in tasks}
    return [
        task
        for task in tasks
        if task.id in chosen and wanted.reason in {"", task.reason} and wanted.task in {"", task.task}
    ]


def _named(tasks: Sequence[ParkedTask], given: str) -> ParkedTask:
    found = [task for task in tasks if task.id == given]
    if not found and len(given) >= _SHORTEST:
        found = [task for task in tasks if task.id.startswith(given)]
    if len(found) == 1:
        return found[0]
    cause = "no parked task has that id" if not found else f"the ids of {len(found)} parked tasks begin so"
    remedy = "`hotplate tasks status --parked 100` lists them" + (
        "." if found else "; one that is not among them has run, waits, or was parked more than a week ago."
    )
    raise HotplateError(f"try {given!r} again", cause, remedy, code=ExitCode.USAGE)


def retry(app: Value, broker: Broker, wanted: Wanted) -> Retried:
    """Put parked tasks into their queues again, with all attempts and retries before them.

    Each is published first and removed from the parked ones afterwards, so that none is lost whenever this is killed.

    Args:
        app: Celery's; see `reaching.application`.
        broker: of that app.
        wanted: which.

    Raises:
        HotplateError: USAGE, no such task is parked; FAILED, the broker does not answer, or a queue is not there.
    """
    with reaching.connected(app, "try tasks again") as connection:
        inside = look(connection, broker.kind)
        listed = inside.parked()
        tasks = parked.distinct(listed)
        chosen = choose(tasks, wanted)
        _prepare(app, connection, broker, {task.queue for task in chosen})
        ids, done = {task.id for task in chosen}, dict[str, ParkedTask]()
        # A task that is tried again may fail and be parked again while this goes on: that is another one.
        meant = {(task.id, task.at) for task in listed if task.id in ids}
        with inside.walk() as entries:
            for entry in entries:
                if (entry.task.id, entry.task.at) not in meant:
                    continue
                if entry.task.id not in done:
                    parking.again(app, entry.message)
                    done[entry.task.id] = entry.task
                entry.remove()
    return Retried(retried=tuple(done.values()), left=len(tasks) - len(done), broker=broker.shown)


def _prepare(app: Value, connection: Value, broker: Broker, queues: set[str]) -> None:
    """Have the app publish into queues that its settings may not name.

    RabbitMQ drops without a word what is published into a queue that is not there, and refuses to have one declared
    with other arguments than it has: only its workers know these.
    """
    app.amqp.queues.create_missing = True
    if broker.kind != "amqp":
        return
    from hotplate.tasks.admin.amqp import Amqp

    missing = queues - {depth.name for depth in Amqp(connection).queues(queues)}
    if missing:
        raise HotplateError(
            f"put tasks back into the queue {min(missing)}",
            "RabbitMQ has no such queue",
            "Start a worker for it, which makes it: hotplate run. They stay parked until then.",
            code=ExitCode.FAILED,
        )
    for queue in queues:
        app.amqp.queues[queue].no_declare = True


def waiting(app: Value, broker: Broker, queue: str) -> int:
    """Return how many tasks `purge` would throw away.

    Args:
        app: Celery's; see `reaching.application`.
        broker: of that app.
        queue: its name.

    Raises:
        HotplateError: USAGE, there is no such queue; FAILED, the broker does not answer.
    """
    with reaching.connected(app, "count the tasks") as connection:
        inside = look(connection, broker.kind)
        if queue == PARKED:
            return len(inside.parked())
        found = next((depth for depth in inside.queues({queue}) if depth.name == queue), Depth(queue))
        # What is to be done later lies in the file beside the rest; on other brokers the worker that took it has it.
        count = (found.depth or 0) + ((found.delayed or 0) if broker.kind == "embedded" else 0)
        if not count and queue not in {depth.name for depth in inside.queues(names(app))}:
            raise HotplateError(
                f"throw away what waits in the queue {queue}",
                f"{broker.shown} has no such queue",
                "`hotplate tasks status` lists the queues.",
                code=ExitCode.USAGE,
            )
    return count


def names(app: Value) -> set[str]:
    """Return the names of the queues that an app's settings name."""
    return {str(name) for name in app.amqp.queues} | {str(app.conf.task_default_queue)}


def purge(app: Value, broker: Broker, queue: str) -> Purged:
    """Throw away what waits in a queue; what workers have taken goes on.

    Args:
        app: Celery's; see `reaching.application`.
        broker: of that app.
        queue: its name, which may be that of the parked tasks.

    Raises:
        HotplateError: FAILED; the broker does not answer.
    """
    with reaching.connected(app, "throw tasks away") as connection:
        purged = connection.default_channel.queue_purge(queue)
    return Purged(queue=queue, purged=int(purged or 0), broker=broker.shown)
