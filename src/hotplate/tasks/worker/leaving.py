"""How a task worker is told to leave: SIGTERM lets running tasks finish, SIGQUIT gives them back."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from celery import signals
from celery.exceptions import WorkerShutdown
from celery.worker import state
from kombu.exceptions import OperationalError

from hotplate.tasks.worker import parking

_log = logging.getLogger("hotplate.tasks")

_waiting = 0


@contextmanager
def at_once() -> Iterator[None]:
    """Within, SIGTERM ends the waiting instead of being looked at some seconds later: nothing is received meanwhile."""
    global _waiting  # noqa: PLW0603  one main thread, which signals interrupt
    state.maybe_shutdown()
    _waiting += 1
    try:
        yield
    finally:
        _waiting -= 1


def listen(worker: Any) -> None:  # noqa: ANN401  the shape is Celery's
    """Install the handlers of SIGTERM and SIGQUIT.

    Args:
        worker: Celery's; its `abandoned` is set by SIGQUIT, its `stopping` says that its event loop has ended.
    """

    def finish(_signal: int, _frame: FrameType | None) -> None:
        if state.should_stop is None:
            signals.worker_shutting_down.send(sender=worker.hostname, sig="SIGTERM", how="Warm", exitcode=0)
            state.should_stop = 0
        if _waiting:
            raise WorkerShutdown(0)

    def abandon(_signal: int, _frame: FrameType | None) -> None:
        worker.abandoned = True
        hub = getattr(worker, "hub", None)
        if hub is not None and not worker.stopping and not _waiting:
            # In between two events: a half-sent acknowledgement must not get another one into its middle.
            hub.call_soon(give_back, worker)
        else:
            give_back(worker)

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGQUIT, abandon)


def give_back(worker: Any) -> NoReturn:  # noqa: ANN401  the shape is Celery's
    """Kill the tasks that run, give them back to the broker uncounted, and end this process.

    A deploy that cuts a long task short says nothing against the task; a broker that just gets it back could not tell
    that from a process that the task has killed.

    Args:
        worker: Celery's.
    """
    for process in list(getattr(getattr(worker.pool, "_pool", None), "_pool", ())):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for request in list(state.active_requests):
        if request.acknowledged:
            continue
        message = request.message
        try:
            parking.publish(worker.app, message, parking.origin(worker.app, message), {})
        except OperationalError as error:  # it comes back by itself, and counts as an attempt
            _log.warning("Cannot give %s %s back by hand: %s", request.name, request.id, error)
        else:
            message.ack_log_error(_log, request.connection_errors)
    os._exit(0)
