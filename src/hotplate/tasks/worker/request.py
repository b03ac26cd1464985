"""A task as the main process sees it while it runs: one that fails for good is parked before it is acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, Terminated, WorkerLostError
from celery.worker.request import Request as CeleryRequest
from kombu.exceptions import OperationalError

from hotplate.tasks.worker import attempts, parking
from hotplate.tasks.worker.loose import Message

_log = logging.getLogger("hotplate.tasks")

# These say what is to become of the message, or that the process is gone (`strategy` counts those).
_NOT_FAILED = (Ignore, KeyboardInterrupt, Reject, Retry, SystemExit, Terminated)


class Request(CeleryRequest):
    """The `Request` of Hotplate's task class."""

    def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  the shape is Celery's
        """Park what failed finally, give back what its task wants to be given back, then do what Celery does."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, Reject) and error.requeue:
            self._give_back()
        elif not isinstance(error, _NOT_FAILED) and not self._comes_back(error):
            self._park(error)
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def redelivered(self, message: Message, ack: Callable[..., object], reject: Callable[..., object]) -> None:
        """Take over the message that the broker sent again: the first one's connection is gone, or there were two.

        Args:
            message: as it was received now.
            ack: acknowledges it.
            reject: gives it back.
        """
        if _is_ours(self.message):
            self.acknowledge()
        self._message, self._on_ack, self._on_reject = message, ack, reject
        self.acknowledged = False

    def _give_back(self) -> None:
        """Give the message back uncounted: no process was lost; where that cannot be, Celery gives it back."""
        if self.acknowledged:
            return
        if send_again(self):
            self.acknowledge()
        elif not put_back(self):
            return
        self.acknowledged = True
        self.send_event("task-rejected", requeue=True)

    def _comes_back(self, error: BaseException) -> bool:
        task = self.task
        lost = isinstance(error, WorkerLostError)
        return lost and bool(task.retry_on_worker_lost or (task.acks_late and task.reject_on_worker_lost))

    def _park(self, error: BaseException) -> None:
        try:
            parking.park(self.app, self.message, "failed", f"{type(error).__name__}: {error}")
        except OperationalError as problem:  # its result says that it failed; it cannot be tried again by us
            _log.warning("Cannot park %s %s, which failed: %s", self.name, self.id, problem)


def send_again(request: CeleryRequest) -> bool:
    """Publish a task's message anew, uncounted, to be acknowledged afterwards; returns whether it could be done.

    A message that just went back could not be told from one whose process was lost.

    Args:
        request: Celery's or ours; not acknowledged.
    """
    message = request.message
    if not _is_ours(message):
        return False
    # Done already, it must come back as what came back: then Celery sends what should follow it, and does not run it.
    if attempts.came_back(message) and attempts.is_done(request.task, message):
        return False
    try:
        parking.publish(request.app, message, parking.origin(request.app, message), {})
    except OperationalError as problem:  # it comes back by itself, and counts as an attempt
        _log.warning("Cannot give %s %s back by hand: %s", request.name, request.id, problem)
        return False
    return True


def put_back(request: CeleryRequest) -> bool:
    """Put a task's message back where it was, uncounted; returns whether its broker can do that: only ours can.

    Args:
        request: Celery's or ours; not acknowledged.
    """
    put = getattr(request.message.channel, "put_back", None)
    if put is None or not _is_ours(request.message):
        return False
    put(request.message.delivery_tag)
    return True


def _is_ours(message: Message) -> bool:
    """Return whether a message's channel is open: when it is closed, the broker gives the message to others."""
    channel = message.channel
    return not getattr(channel, "closed", False) and bool(getattr(channel, "is_open", True))
