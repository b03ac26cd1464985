"""What happens to a message of a task that is known: run it, count it, or park it.

A task that kills its process (out of memory, a crash in native code) comes back from the broker each time and would
kill the next one, for ever, as Celery warns where it describes `task_reject_on_worker_lost`
(https://docs.celeryq.dev/en/stable/userguide/configuration.html). No broker but RabbitMQ's quorum queues counts that,
so a message that comes back is published anew with the count in its header, the same for every broker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from celery import Celery, Task, signals
from celery.exceptions import WorkerLostError
from celery.utils.imports import symbol_by_name
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.strategy import default
from kombu.exceptions import OperationalError

from hotplate.tasks.worker import attempts, parking
from hotplate.tasks.worker.loose import Message
from hotplate.tasks.worker.request import Request

_log = logging.getLogger("hotplate.tasks")

Handler = Callable[..., Any]


class Delivery(NamedTuple):
    """A message and how to be rid of it.

    Args:
        message: kombu's.
        ack: acknowledges it, or logs why it cannot.
        reject: gives it back, or logs why it cannot.
    """

    message: Message
    ack: Callable[..., object]
    reject: Callable[..., object]


def counted(task: Task, app: Celery, consumer: Consumer) -> Handler:
    """Return the handler of a task's messages; the `Strategy` of Hotplate's task class.

    Args:
        task: the task.
        app: Celery's.
        consumer: that receives the messages.
    """
    run: Handler = default(task, app, consumer)
    limit = attempts.limit(app)

    def handle(message: Message, body: object, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:  # noqa: ANN401  the shape is Celery's
        if attempts.lost(message):
            delivery = Delivery(message, ack, reject)
            if _still_runs(delivery, consumer):
                return None
            # Celery looks at the result once more, and sends on what should follow the task.
            if not attempts.is_done(task, message) and _count(task, consumer, delivery, limit):
                return None
        elif attempts.is_tick(message) and attempts.is_done(task, message):
            # Its beat was killed before it could note that it was sent. As above, it is Celery that passes it over.
            message.delivery_info["redelivered"] = True
        return run(message, body, ack, reject, callbacks, **options)

    return handle


def _count(task: Task, consumer: Consumer, delivery: Delivery, limit: int) -> bool:
    """Publish a message anew with the count of its attempts, or park it; returns False if neither is possible."""
    app, message = consumer.app, delivery.message
    lost = attempts.number(message.headers, parking.ATTEMPTS) + 1
    try:
        if lost >= limit:
            _park(task, consumer, delivery, lost)
        else:
            parking.publish(app, message, parking.origin(app, message), {parking.ATTEMPTS: lost})
            delivery.ack(_log, consumer.connection_errors)
    except OperationalError as error:
        # To run it uncounted is better than not at all; it is counted the next time.
        _log.warning("Cannot count the attempts of %s: %s", task.name, error)
        return False
    return True


def _still_runs(delivery: Delivery, consumer: Consumer) -> bool:
    """Return whether a message comes back to the very worker that runs its task, after their connection was lost.

    Then it is acknowledged when the task ends, instead of running the task twice at the same time. A retry has the id
    of the try before it, and is another one.
    """
    headers = delivery.message.headers
    running = state.requests.get(headers.get("id"))
    if not isinstance(running, Request) or running not in state.active_requests:
        return False
    if running.message.headers.get("retries") != headers.get("retries"):
        return False
    if running.acknowledged and not running.task.acks_late:
        delivery.ack(_log, consumer.connection_errors)
    else:
        running.redelivered(*delivery)
    return True


def _park(task: Task, consumer: Consumer, delivery: Delivery, lost: int) -> None:
    """Park a message and tell whoever waits for the result."""
    app, message = consumer.app, delivery.message
    detail = f"{task.name} lost the process that ran it {lost} times"
    parking.park(app, message, "poison", detail)
    request = symbol_by_name(task.Request)(
        message,
        on_ack=delivery.ack,
        on_reject=delivery.reject,
        app=app,
        hostname=consumer.hostname,
        task=task,
        connection_errors=consumer.connection_errors,
    )
    failure = WorkerLostError(detail)
    context = request._context  # noqa: SLF001  what Celery's own request gives to `mark_as_failure`
    task.backend.mark_as_failure(request.id, failure, request=context, store_result=request.store_errors)
    signals.task_failure.send(
        sender=task, task_id=request.id, exception=failure, args=request.args, kwargs=request.kwargs, traceback=None
    )
    request.acknowledge()
