"""Sending and receiving, as the tests of the transport do it."""

from typing import Any


class Inbox:
    """A consumer that keeps what it gets."""

    def __init__(self, connection: Any, queues: list[Any], *, prefetch: int = 0, no_ack: bool = False) -> None:
        self.connection = connection
        self.messages: list[Any] = []
        self.consumer = connection.Consumer(queues, callbacks=[self._keep], no_ack=no_ack)
        if prefetch:
            self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def _keep(self, _body: object, message: Any) -> None:
        self.messages.append(message)

    def get(self, count: int = 1, timeout: float = 10) -> list[Any]:
        """Bodies of the next `count` messages."""
        before = len(self.messages)
        for _ in range(count):
            self.connection.drain_events(timeout=timeout)
        return [message.payload for message in self.messages[before:]]

    def is_empty(self) -> bool:
        """Whether nothing more comes at once."""
        try:
            self.connection.drain_events(timeout=0)
        except TimeoutError:
            return True
        return False


def another(connection: Any) -> Any:
    """A second connection to the same broker."""
    return connection.clone()


def send(connection: Any, *bodies: object, **options: Any) -> None:
    """Sends to the queue q."""
    for body in bodies:
        connection.Producer().publish(body, routing_key="q", serializer="json", **options)
