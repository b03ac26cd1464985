"""How a task worker is told to leave: SIGTERM lets running tasks finish, SIGQUIT gives them back."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, NoReturn

from celery import signals
from celery.exceptions import WorkerShutdown
from celery.worker import state

from hotplate.tasks.worker.request import put_back, send_again

_log = logging.getLogger("hotplate.tasks")

_TALKERS: Final = ("amqp.", "redis.", "kombu.asynchronous.", "kombu.transport.", "hotplate.tasks.embedded.")
_MOMENT: Final = 0.02  # seconds

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

    def finish(number: int, _frame: FrameType | None) -> None:
        if state.should_stop is None:
            sent = signal.Signals(number).name
            signals.worker_shutting_down.send(sender=worker.hostname, sig=sent, how="Warm", exitcode=0)
            state.should_stop = 0
        if _waiting:
            raise WorkerShutdown(0)

    def abandon(number: int, frame: FrameType | None) -> None:
        worker.abandoned = True
        if worker.stopping and _talks(frame):
            again = threading.Timer(_MOMENT, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        if getattr(worker, "hub", None) is None or worker.stopping or _waiting:
            give_back(worker)
        # In between two rounds of the loop, where the worker stops, and sees that it is abandoned: a half-sent
        # acknowledgement must not get another one into its middle.
        finish(number, frame)

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGQUIT, abandon)


def _talks(frame: FrameType | None) -> bool:
    """Return whether a signal came in the middle of talking to the broker, with locks held or half a frame sent."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_TALKERS):
            return True
        frame = frame.f_back
    return False


def give_back(worker: Any) -> NoReturn:  # noqa: ANN401  the shape is Celery's
    """Kill the tasks that run, give them back to the broker uncounted, and end this process.

    A deploy that cuts a long task short says nothing against the task; a broker that just gets it back could not tell
    that from a process that the task has killed.

    Args:
        worker: Celery's.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # said again, it would begin in the middle
    for process in list(getattr(getattr(worker.pool, "_pool", None), "_pool", ())):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    try:
        _hear_nothing_more(worker)
        for request in {*state.active_requests, *state.reserved_requests}:
            if request.acknowledged:
                continue
            if send_again(request):
                request.message.ack_log_error(_log, request.connection_errors)
            else:
                put_back(request)
        _write_what_is_done(worker)
    except Exception:  # noqa: BLE001  whatever it is, the broker gives back what is not acknowledged
        _log.exception("Cannot give back everything by hand")
    finally:
        os._exit(0)


def _hear_nothing_more(worker: Any) -> None:  # noqa: ANN401  the shape is Celery's
    """Receive no messages: those that are given back would come here at once."""
    consumer = getattr(worker, "consumer", None)
    if consumer is not None and consumer.task_consumer:
        with suppress(*consumer.connection_errors, *consumer.channel_errors):
            consumer.task_consumer.cancel()


def _write_what_is_done(worker: Any) -> None:  # noqa: ANN401  the shape is Celery's
    """Acknowledge what was left to the loop's next round, or to its next tick, which will not come."""
    if getattr(worker, "hub", None) is not None:
        worker.hub.close()
