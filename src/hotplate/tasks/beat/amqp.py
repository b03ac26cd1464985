"""The beat's lock in RabbitMQ: an exclusive queue, which is its connection's alone and goes with it.

Ticks are sent through that same connection: once the broker has given it up, nothing more can be sent through it, so a
beat that slept cannot send in another's place. Last runs are the one message of a durable queue, where every machine
finds them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from celery.app.base import Celery
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.connecting import Channel, Connection, Producer, connected, library_errors, producer
from hotplate.tasks.beat.lock import LockLostError, Run, decoded, encoded

HEARTBEAT = 10
"""Seconds; the broker gives up a silent connection, and with it the lock, after two of them."""
_LOCKED = 405  # RESOURCE_LOCKED (amqp0-9-1.pdf, section 1.2)


class AmqpLock:
    """The beats of all machines that share a RabbitMQ.

    Args:
        app: whose schedule it is; several apps on one virtual host have a lock each, by their names.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._queue = f"hotplate.beat.{app.main or 'celery'}"
        self._connection: Connection = None
        self._channel: Channel = None
        self._known: dict[str, Run] = {}

    def take(self) -> bool:
        """See `Lock`."""
        if self._connection is None or not self._connection.connected:
            self._drop()
            self._connection = connected(self._app.connection_for_write(heartbeat=HEARTBEAT))
        try:
            with library_errors(self._connection):
                self._channel = self._channel or self._connection.channel()
                self._channel.queue_declare(self._queue, exclusive=True, auto_delete=True)
        except OperationalError as problem:
            self._channel = None  # the broker closes the channel of whoever asks for what is another's
            if getattr(problem.__cause__, "code", None) == _LOCKED:
                self._beat()
                return False
            self._drop()
            raise
        return True

    def keep(self) -> bool:
        """See `Lock`."""
        return self._channel is not None and self._beat()

    def give_up(self) -> None:
        """See `Lock`."""
        self._drop()

    def producer(self) -> Producer:
        """See `Lock`."""
        return producer(self._channel)

    def runs(self) -> dict[str, Run]:
        """See `Lock`."""
        with self._library_errors():
            self._declare_runs()
            message = self._channel.basic_get(f"{self._queue}.runs")
            self._known = {}
            if message is not None:
                self._known = decoded(message.body)
                self._channel.basic_reject(message.delivery_tag, requeue=True)
        return dict(self._known)

    def save(self, runs: Mapping[str, Run]) -> None:
        """See `Lock`."""
        self._known = dict(runs)
        with self._library_errors():
            self.producer().publish(
                encoded(runs),
                routing_key=f"{self._queue}.runs",
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode="persistent",
            )

    @contextmanager
    def sending(self, name: str, run: Run) -> Iterator[None]:
        """See `Lock`."""
        if self._channel is None:
            raise LockLostError
        with self._library_errors():
            # Answered through the connection that has the lock, or not at all.
            self._channel.queue_declare(self._queue, passive=True)
        yield
        self.save({**self._known, name: run})

    def _declare_runs(self) -> None:
        self._channel.queue_declare(
            f"{self._queue}.runs", durable=True, auto_delete=False, arguments={"x-max-length": 1}
        )

    @contextmanager
    def _library_errors(self) -> Iterator[None]:
        """Whatever goes wrong with the connection, the lock went with it."""
        if self._connection is None or self._channel is None:
            raise LockLostError
        try:
            with library_errors(self._connection):
                yield
        except OperationalError:
            self._drop()
            raise

    def _beat(self) -> bool:
        """Tell the broker that we live, hear the same of it, and say whether the connection stands."""
        if self._connection is None:
            return False
        try:
            with suppress(socket.timeout):
                self._connection.drain_events(timeout=0.001)
            self._connection.heartbeat_check()
        except (*self._connection.connection_errors, *self._connection.channel_errors):
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.release()
