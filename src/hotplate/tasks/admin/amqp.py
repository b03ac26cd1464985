"""Looking into RabbitMQ: it tells how many messages are ready in a queue whose name is known, and nothing else.

What workers have taken, and for how long the first message has been waiting, AMQP 0-9-1 does not tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from hotplate.tasks.admin import parked
from hotplate.tasks.admin.looking import Depth
from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import PARKED

_IDLE = 1.0  # seconds without a message, after which there are no more


class Amqp:
    """RabbitMQ, or any other broker that Kombu knows.

    Args:
        connection: Kombu's, open.
    """

    def __init__(self, connection: Value) -> None:
        self._connection = connection

    def queues(self, known: Collection[str]) -> list[Depth]:
        """See `Look`; a queue that nobody has declared yet is left out."""
        found = [(name, self._size(name)) for name in sorted(known) if name != PARKED]
        return [Depth(name, depth=size) for name, size in found if size is not None]

    def parked(self) -> list[ParkedTask]:
        """See `Look`; messages are delivered to be seen, and keep their place in the queue."""
        wanted = self._size(PARKED) or 0
        seen: list[ParkedTask] = []
        if not wanted:
            return seen
        with self._connection.channel() as channel:
            channel.basic_consume(
                PARKED,
                no_ack=False,
                consumer_tag="hotplate-look",
                callback=lambda message: seen.append(parked.read(_understood(channel, message).headers)),
            )
            while len(seen) < wanted:
                try:
                    self._connection.drain_events(timeout=_IDLE)
                except TimeoutError:  # somebody else looks
                    break
        return seen

    @contextmanager
    def walk(self) -> Iterator[Iterator[Entry]]:
        """See `Look`."""
        if not self._size(PARKED):
            yield iter(())
            return
        with taking(self._connection) as entries:
            yield entries

    def _size(self, queue: str) -> int | None:
        """Return how many messages of a queue wait; None where there is no such queue."""
        channel = self._connection.channel()
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except self._connection.channel_errors:
            return None
        finally:
            if getattr(channel, "is_open", True):  # RabbitMQ has closed it where there is no such queue
                channel.close()


@contextmanager
def taking(connection: Value) -> Iterator[Iterator[Entry]]:
    """Go through what is parked by taking it, from a broker that gives back by itself what a dead process has taken.

    What was not removed goes back in the end.

    Args:
        connection: Kombu's, open.
    """
    with connection.channel() as channel:
        kept: list[Value] = []
        try:
            yield _taken(channel, kept)
        finally:
            for message in reversed(kept):  # so that the oldest lies in front again
                if not message.acknowledged:
                    message.requeue()


def _taken(channel: Value, kept: list[Value]) -> Iterator[Entry]:
    while (found := channel.basic_get(PARKED, no_ack=False)) is not None:
        message = _understood(channel, found)
        kept.append(message)
        yield Entry(parked.read(message.headers), message, message.ack)


def _understood(channel: Value, message: Value) -> Value:
    """Return Kombu's message; py-amqp delivers its own."""
    convert = getattr(channel, "message_to_python", None)
    return convert(message) if convert else message
