"""Connections of the beat: made once and at once, or not; waiting for a broker is the beat's own business."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from kombu import messaging
from kombu.exceptions import OperationalError

# Kombu ships no types.
Connection: TypeAlias = Any
Channel: TypeAlias = Any
Producer: TypeAlias = Any


def connected(connection: Connection) -> Connection:
    """Connect, trying once.

    Raises:
        OperationalError: kombu's; the broker is away.
    """
    with library_errors(connection):
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, interval_max=0)
    return connection


def producer(channel: Channel) -> Producer:
    """Return what sends through one channel and no other."""
    make: Any = messaging.Producer
    return make(channel, auto_declare=False)


@contextmanager
def library_errors(connection: Connection) -> Iterator[None]:
    """Turn what the broker's own library raises into kombu's OperationalError."""
    try:
        yield
    except OperationalError:
        raise
    except (*connection.connection_errors, *connection.channel_errors) as problem:
        raise OperationalError(str(problem)) from problem
