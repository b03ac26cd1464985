"""What an app's tasks are: looked for where the app is in memory, told to the master in a record.

An app without Celery pays nothing for it: where Celery has not been imported there is nothing to look for.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from hotplate.errors import HotplateError
from hotplate.supervisor import releasing
from hotplate.supervisor.messages import TasksFound

if TYPE_CHECKING:
    from hotplate.apps.load import LoadedApp
    from hotplate.tasks.found import Found

# What the tasks process needs, imported once before the fork (measured: 0.3 s and 20 MB for each process otherwise).
_FOR_TASKS = "hotplate.tasks.worker.run"
_FOR_BEAT = "hotplate.tasks.beat.serve"
# What Celery imports when the first task is sent, by kind of broker: the first request that does is as fast as any.
_FOR_SENDING = {
    "embedded": ("hotplate.tasks.embedded.transport", "hotplate.tasks.embedded.results"),
    "redis": ("hotplate.tasks.redis", "celery.backends.redis"),
    "amqp": ("kombu.transport.pyamqp",),
}


def look(app: LoadedApp) -> Found | None:
    """Return the app's Celery instance, its broker settings complete; None if it has none.

    Raises:
        HotplateError: the broker that is asked for cannot be used.
    """
    if "celery" not in sys.modules:
        return None
    from hotplate.tasks import found, place

    seen = found.find(_named(app), [sys.modules[name] for name in (app.module,) if name in sys.modules])
    if seen is None:
        return None
    seen = found.complete(seen, os.environ)
    # Celery takes an app for the current one only in the thread that made it; views run in others, where `shared_task`
    # would mean an app that Celery makes up, with RabbitMQ on this machine as its broker.
    if sys.modules["celery._state"].default_app is None:
        seen.app.set_default()
    # What the app starts elsewhere, such as a script in another folder, is to find the same file.
    with suppress(HotplateError):
        os.environ.setdefault(place.VARIABLE, str(place.folder(os.environ)))
    return seen


def prepare(found: Found) -> None:
    """Import what the processes that send and run an app's tasks will need, so that they share it."""
    for name in (_FOR_TASKS, *([_FOR_BEAT] if found.schedule else [])):
        importlib.import_module(name)
    with suppress(ImportError):  # who sends a task will hear of it
        for name in _FOR_SENDING.get(found.broker.kind, ()):
            importlib.import_module(name)


def told(found: Found | None) -> TasksFound | None:
    """Return what the master is to know of it."""
    if found is None:
        return None
    from hotplate.tasks.cautions import cautions

    broker, concurrency = found.broker, found.app.conf.worker_concurrency
    return TasksFound(
        name=found.name,
        tasks=len(found.tasks),
        schedule=found.schedule,
        broker=broker.shown,
        origin=broker.origin,
        concurrency=int(concurrency or 0),
        queues=found.queues,
        routers=found.routers,
        cautions=tuple(cautions(found)),
    )


def _named(app: LoadedApp) -> object:
    """Return what the user named: on a machine for tasks that may be a Celery app, of several in one module."""
    if releasing.is_of_the_web(app):
        return app.app
    named: object = sys.modules.get(app.module)
    for word in app.name.rpartition(":")[2].split(".") if ":" in app.name else ():
        named = getattr(named, word, None)
    return named
