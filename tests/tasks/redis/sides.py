"""One side of the wire, which a test moves step by step."""

from __future__ import annotations

from typing import Any

import kombu
import redis

from hotplate.tasks.redis import scripts

_kombu: Any = kombu
Connection: Any = _kombu.Connection
TASKS: Any = _kombu.Queue("tasks", _kombu.Exchange("tasks"), routing_key="tasks")


class Side:
    """A connection that sends and receives.

    Args:
        connection: to the broker.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.got: list[Any] = []
        self._consumer: Any = None

    @property
    def channel(self) -> Any:
        """Its channel."""
        return self.connection.default_channel

    @property
    def transport(self) -> Any:
        """Its transport."""
        return self.connection.transport

    @property
    def owner(self) -> str:
        """The name it takes messages by."""
        return str(self.transport.owner)

    def send(self, *bodies: object, **options: Any) -> None:
        """Send messages."""
        producer = self.connection.Producer()
        for body in bodies:
            producer.publish(body, exchange=TASKS.exchange, routing_key="tasks", declare=[TASKS], **options)

    def take(self, count: int = 1, *, prefetch: int = 0, no_ack: bool = False) -> list[Any]:
        """Receive messages; returns them without acknowledging them."""
        self.listen(prefetch=prefetch, no_ack=no_ack)
        while len(self.got) < count:
            self.connection.drain_events(timeout=20)
        taken = self.got[:]
        self.got.clear()
        return taken

    def listen(self, *, prefetch: int = 0, no_ack: bool = False) -> None:
        """Begin to receive messages."""
        if self._consumer is None:
            self._consumer = self.connection.Consumer([TASKS], on_message=self.got.append, no_ack=no_ack)
            if prefetch:
                self._consumer.qos(prefetch_count=prefetch)
            self._consumer.consume()

    def look(self, times: int = 1) -> None:
        """Look after owners, as if a second had passed each time."""
        self.listen()
        for _ in range(times):
            self.transport._looked = float("-inf")
            self.transport.look(self.channel)


def queue(channel: Any) -> Any:
    """Return the queue on a channel."""
    return TASKS(channel)


def keys(client: redis.Redis, pattern: str = "*") -> list[str]:
    """Return the keys there are."""
    return [key.decode() if isinstance(key, bytes) else key for key in client.scan_iter(pattern)]


def waiting(client: redis.Redis) -> int:
    """Return how many messages wait, of all priorities."""
    return sum(int(client.llen(key)) for key in keys(client, "tasks*") if not key.endswith("wake"))


def taken(client: redis.Redis) -> int:
    """Return how many messages are taken, by all owners."""
    return sum(int(client.hlen(key)) for key in keys(client, f"*{scripts.TAKEN}*"))


def owners(client: redis.Redis) -> set[str]:
    """Return who is known to take messages."""
    return {name.decode() if isinstance(name, bytes) else name for name in client.hkeys(scripts.OWNERS)}
