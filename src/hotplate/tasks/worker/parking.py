"""Messages laid aside: a queue of the same broker with what no worker could do, to be looked at and tried again.

Four kinds: `failed` (an exception and no retries left), `poison` (lost its process too often), `unknown` (no worker
knows the task), and `unreadable` (not a task message, or of a content type that is not accepted). Body, headers and
properties stay as they were; the header `hotplate-parked` says why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec
from celery import Celery
from kombu.exceptions import OperationalError

from hotplate.tasks.worker import counting
from hotplate.tasks.worker.loose import Exchange, Message, Queue

_log = logging.getLogger("hotplate.tasks")

PARKED: Final = "hotplate.parked"
HEADER: Final = "hotplate-parked"
ATTEMPTS: Final = "hotplate-attempts"
UNKNOWN: Final = "hotplate-unknown"
NEWEST: Final = 10_000  # messages kept
KEPT: Final = 7 * 24 * 3600  # seconds a message is kept

Reason = Literal["failed", "poison", "unknown", "unreadable"]

# Of the properties of AMQP 0-9-1 (section 1.8.3) those that a message keeps when it is published again; the others are
# arguments of kombu's `publish`, or name a delivery that is over.
_KEPT_PROPERTIES: Final = ("correlation_id", "reply_to", "message_id", "timestamp", "type", "app_id")
# Written into headers by a transport or by kombu, and untrue of a message that is published again: bodies arrive here
# with their compression undone, and Redis marks redelivered messages in their headers.
_OF_A_DELIVERY: Final = frozenset({"compression", "redelivered"})
_PERSISTENT: Final = 2
_DETAIL: Final = 1000  # characters
_TRIM_EVERY: Final = 500  # messages parked


class Parked(msgspec.Struct, frozen=True):
    """Why a message was parked: the header `hotplate-parked`.

    Args:
        reason: the kind.
        queue: where it came from and goes when it is tried again.
        at: when, in seconds since 1970.
        detail: a sentence: the exception, or what was wrong.
        priority: that it had, if any.
    """

    reason: Reason
    queue: str
    at: float
    detail: str = ""
    priority: int | None = None


def queue() -> Any:  # noqa: ANN401  the shape is kombu's
    """Return the queue of parked messages as everybody must declare it: RabbitMQ refuses two different declarations."""
    return Queue(PARKED, Exchange(""), PARKED, durable=True, max_length=NEWEST, message_ttl=KEPT)


def park(app: Celery, message: Message, reason: Reason, detail: str, clock: Callable[[], float] = time.time) -> None:
    """Publish a copy of a message to the parked ones; the original is the caller's to acknowledge, afterwards.

    Dying in between leaves both: a task may be parked twice, and is never lost.

    Args:
        app: whose broker it is.
        message: as it was received.
        reason: the kind.
        detail: a sentence for people.
        clock: seconds since 1970.

    Raises:
        kombu.exceptions.OperationalError: the broker does not take it.
    """
    parked = Parked(reason, origin(app, message), clock(), detail[:_DETAIL], message.properties.get("priority"))
    publish(app, message, queue(), {HEADER: msgspec.to_builtins(parked)}, priority=0)
    if counting.COUNTER.parked() % _TRIM_EVERY == 0:
        trim(app)
    # Of a failure Celery has logged the traceback.
    level = logging.INFO if reason == "failed" else logging.WARNING
    _log.log(level, "Parked %s %s: %s", name(message), message.headers.get("id", ""), parked.detail)


def again(app: Celery, message: Message) -> str:
    """Publish a parked message to the queue it came from, as if never tried; acknowledge the original afterwards.

    Returns:
        The queue's name.

    Raises:
        kombu.exceptions.OperationalError: the broker does not take it.
    """
    note = message.headers.get(HEADER)
    note = note if isinstance(note, dict) else {}
    target = app.amqp.queues[str(note.get("queue") or app.conf.task_default_queue)]
    # Its retries begin anew; whoever tries it again wants it to run, however late.
    headers = {**dict.fromkeys((HEADER, ATTEMPTS, UNKNOWN, "eta", "expires")), "retries": 0}
    publish(app, message, target, headers, priority=note.get("priority"))
    return str(target.name)


def publish(app: Celery, message: Message, target: Any, headers: dict[str, Any], **options: Any) -> None:  # noqa: ANN401  the shape is kombu's
    """Publish a received message once more, straight to a queue, its body untouched.

    Straight to it because its exchange may have other queues, whose consumers have had the message.

    Args:
        app: whose broker it is.
        message: as it was received.
        target: the queue, which is declared; or the name of one that exists.
        headers: added to the message's; those that are None are taken away.
        options: of kombu's `publish`, such as `priority`.

    Raises:
        kombu.exceptions.OperationalError: the broker does not take it.
    """
    properties = message.properties
    kept = {name: properties[name] for name in _KEPT_PROPERTIES if properties.get(name) is not None}
    options.setdefault("priority", properties.get("priority"))
    gone = _OF_A_DELIVERY.union(header for header, value in headers.items() if value is None)
    together = {header: value for header, value in {**message.headers, **headers}.items() if header not in gone}
    with app.producer_or_acquire() as producer:
        producer.publish(
            message.body,
            exchange="",
            routing_key=target if isinstance(target, str) else target.name,
            declare=[] if isinstance(target, str) else [target],
            content_type=message.content_type or "application/data",
            content_encoding=message.content_encoding or "binary",
            headers=together,
            delivery_mode=_PERSISTENT,
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2},
            **kept,
            **options,
        )


def origin(app: Celery, message: Message) -> str:
    """Return the name of the queue that a message was taken from, as well as its delivery tells."""
    told = message.delivery_info or {}
    exchange, key = told.get("exchange") or "", told.get("routing_key") or ""
    if not exchange and key:
        return str(key)
    consumed = app.amqp.queues.consume_from.values()
    fitting = [queue.name for queue in consumed if queue.exchange and queue.exchange.name == exchange]
    exact = [queue.name for queue in consumed if queue.name in fitting and queue.routing_key == key]
    return str(next(iter(exact or fitting), app.conf.task_default_queue))


def name(message: Message) -> str:
    """Return the name of the task that a message asks for, as far as it can be told."""
    return str(message.headers.get("task") or "a message")


def trim(app: Celery, newest: int = NEWEST, clock: Callable[[], float] = time.time) -> None:
    """Drop the oldest parked messages: those beyond a number, and those kept long enough; RabbitMQ does that itself.

    Args:
        app: whose broker it is.
        newest: how many stay.
        clock: seconds since 1970.
    """
    with app.connection_for_write() as connection:
        if connection.transport.driver_type == "amqp":
            return
        with suppress(OperationalError, *connection.connection_errors, *connection.channel_errors):
            channel = connection.default_channel
            for _ in range(channel.queue_declare(PARKED, passive=True).message_count - newest):
                channel.basic_get(PARKED, no_ack=True)
            while (at := _oldest(channel)) is not None and clock() - at >= KEPT:
                channel.basic_get(PARKED, no_ack=True)


def _oldest(channel: Any) -> float | None:  # noqa: ANN401  the shape is kombu's
    """Return when the oldest message was parked; None if there is none."""
    if hasattr(channel, "client"):  # Redis: a message that is put back there becomes the newest
        raw = channel.client.lindex(f"{channel.global_keyprefix}{PARKED}", -1)  # a command that Kombu prefixes not
        headers = msgspec.json.decode(raw).get("headers", {}) if raw else None
    else:
        message = channel.basic_get(PARKED)
        headers = message.headers if message is not None else None
        if message is not None:
            message.requeue()
    if headers is None:
        return None
    note = headers.get(HEADER)
    return float(note.get("at", 0)) if isinstance(note, dict) else 0.0
