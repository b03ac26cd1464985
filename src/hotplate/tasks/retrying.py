"""A task that asks to be tried again: it is said to, then its next try is sent, and if that fails nothing is lost.

Celery sends first: another process may have run the next try to its end when the first one writes RETRY over its
result, and whoever waits for that waits for ever. And it drops a task whose next try could not be sent. Here it goes
back to its queue where the broker could not take the next try, and fails where no broker ever could.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from celery import states
from celery.exceptions import Reject
from kombu.exceptions import LimitExceeded, OperationalError

from hotplate.tasks.untyped import Job, Value

_AWAY = (OperationalError, LimitExceeded, OSError)  # the broker, or a connection to it

_log = logging.getLogger("hotplate.tasks")


@contextmanager
def asking(task: Job, error: BaseException | None) -> Iterator[None]:
    """Within, the task's next try is sent (`note`).

    Args:
        task: the one that runs.
        error: why it asks, if it says so.

    Raises:
        Reject: the next try could not be sent now; the message of this one goes back to its queue.
        Exception: it can never be sent, as arguments that are no JSON, or there is no message to go back any more.
    """
    task.request.hotplate_asks = (error,)
    try:
        yield
    except Reject as problem:
        task.backend.hotplate_noted = None
        reason = problem.reason
        if isinstance(reason, _AWAY) and task.acks_late:
            # As words: it is pickled on its way to the worker's main process.
            raise Reject(str(reason), requeue=True) from problem
        if isinstance(reason, Exception):
            raise reason from reason.__cause__
        raise
    finally:
        task.request.hotplate_asks = None


def note(task: Job, task_id: Value) -> None:
    """Store that a task is to be tried again, if that is what is being sent.

    Args:
        task: what is being sent.
        task_id: the same as the running task's in its next try.
    """
    request = task.request
    asks = getattr(request, "hotplate_asks", None)
    if asks is None or task_id != request.id:
        return
    backend = task.backend
    backend.hotplate_noted = request.id
    where = traceback.format_exc() if sys.exc_info()[0] else None
    try:
        backend.store_result(request.id, asks[0], states.RETRY, where, request=request)
    except Exception as problem:  # noqa: BLE001  whichever store the app has; the next try matters more
        _log.warning("Cannot store that %s %s is tried again: %s", task.name, request.id, problem)


def once(backend: Value) -> None:
    """Have a store of results leave alone what `note` has stored.

    Args:
        backend: Celery's, of one thread, which runs one task at a time.
    """
    mark, backend.hotplate_noted = backend.mark_as_retry, None

    def mark_as_retry(task_id: str, *what: Value, **more: Value) -> Value:
        if task_id == backend.hotplate_noted:
            backend.hotplate_noted = None
            return None
        return mark(task_id, *what, **more)

    backend.mark_as_retry = mark_as_retry
