"""Which queues the workers of a Celery app take tasks from: those into which its own tasks are sent.

Celery's worker takes from `task_queues` alone, or from the default queue. A task that is sent into another one, which
Celery makes on the way (`task_create_missing_queues`), would wait there for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from celery.app.routes import MapRoute, prepare

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks.untyped import App, Job, Value


class Taken(NamedTuple):
    """The queues to take from.

    Args:
        names: of them, the default one first.
        routers: names of functions in `task_routes`: into which queues they send is known only when they send.
    """

    names: tuple[str, ...]
    routers: tuple[str, ...] = ()


def taken(app: App) -> Taken:
    """Return the queues that an app's settings, tasks and routes name.

    A route counts where a task of this app goes by it: what others run is theirs.

    Args:
        app: Celery's, its tasks imported.
    """
    known = app.amqp.queues
    given = app.conf.task_routes or ()
    given = given if isinstance(given, list | tuple) else (given,)
    prepared = prepare(given)
    maps = [router for router in prepared if isinstance(router, MapRoute)]
    wanted = [
        str(app.conf.task_default_queue),
        *(_name(queue) for queue in known.consume_from.values()),
        *(_name(getattr(task, "queue", None) or _routed(task, maps)) for task in app.tasks.values()),
    ]
    names = tuple(name for name in dict.fromkeys(wanted) if name and (known.create_missing or _is_known(app, name)))
    functions = (raw for raw, router in zip(given, prepared, strict=True) if not isinstance(router, MapRoute))
    return Taken(names, tuple(map(_called, functions)))


def refuse_unknown(app: App, names: Iterable[str]) -> None:
    """Refuse queues that an app does not have and will not make.

    Raises:
        HotplateError: USAGE; it makes none (`task_create_missing_queues`), and one is not among its own.
    """
    known = app.amqp.queues
    for name in names:
        if not known.create_missing and not _is_known(app, name):
            raise HotplateError(
                f"take tasks from the queue {name}",
                f"{app.main or 'the Celery app'} has {', '.join(known)}, and task_create_missing_queues is off",
                "Correct --task-queues, or add the queue to task_queues.",
                code=ExitCode.USAGE,
            )


def _is_known(app: App, name: str) -> bool:
    return name in app.amqp.queues or name in app.amqp.queues.aliases


def _routed(task: Job, maps: Iterable[MapRoute]) -> Value:
    """Return the queue into which the first route sends a task that fits; None if none does."""
    for router in maps:
        try:
            route = router(task.name)
        except TypeError:  # a route of no known form: who sends hears of it
            continue
        if route is not None:
            return route.get("queue")
    return None


def _name(queue: Value) -> str:
    """Return a queue's name: the one that its user gave where Celery makes up another for each worker (Broadcast)."""
    return str(getattr(queue, "alias", None) or getattr(queue, "name", None) or queue or "")


def _called(router: Value) -> str:
    return router if isinstance(router, str) else str(getattr(router, "__qualname__", type(router).__qualname__))
