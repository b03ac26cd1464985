"""Messages laid aside: a queue of the same broker with what no worker could do, to be looked at and tried again.

Three kinds: `failed` (an exception and no retries left), `poison` (lost its process too often), `unknown` (no worker knows
the task), and `unreadable` (not a task message, or of a content type that is not accepted). Body, headers and
properties stay as they were; the header `hotplate-parked` says why.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from celery import Celery
from kombu import Queue

PARKED: Final = "hotplate.parked"
HEADER: Final = "hotplate-parked"
ATTEMPTS: Final = "hotplate-attempts"
UNKNOWN: Final = "hotplate-unknown"
NEWEST: Final = 10_000  # messages kept
KEPT: Final = 7 * 24 * 3600  # seconds a message is kept

Reason = Literal["failed", "poison", "unknown", "unreadable"]


class Parked(msgspec.Struct, frozen=True):
    """Why a message was parked: the header `hotplate-parked`.

    Args:
        reason: the kind.
        queue: where it came from and goes when it is tried again.
        at: when, in seconds since 1970.
        detail: a sentence: the exception, or what was wrong.
    """

    reason: Reason
    queue: str
    at: float
    detail: str = ""


def queue(app: Celery) -> Queue:
    """Return the queue of parked messages as everybody must declare it (RabbitMQ refuses two different declarations)."""
    raise NotImplementedError


def park(app: Celery, message: Any, parked: Parked) -> None:
    """Publish a copy of a message to the parked ones; the original is the caller's to acknowledge, afterwards.

    Raises:
        kombu.exceptions.OperationalError: the broker does not take it.
    """
    raise NotImplementedError


def again(app: Celery, message: Any) -> str:
    """Publish a parked message to the queue it came from, as if never tried; acknowledge the original afterwards.

    Returns:
        The queue's name.

    Raises:
        kombu.exceptions.OperationalError: the broker does not take it.
    """
    raise NotImplementedError
