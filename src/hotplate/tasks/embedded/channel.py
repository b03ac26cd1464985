"""kombu's channel: what a producer sends, what a consumer reads and has not yet acknowledged."""

# ruff: noqa: ANN401, ARG002, FBT001, FBT002  # the signatures are kombu's, and so are the types it has not

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple

from kombu.transport import virtual

from hotplate.tasks.embedded import envelope, messages, routes
from hotplate.tasks.embedded.messages import Outgoing, Taken
from hotplate.tasks.embedded.routes import Binding
from hotplate.tasks.embedded.transactions import Reading

if TYPE_CHECKING:
    from hotplate.tasks.embedded.transport import Transport

KEEP_FREE = 4 * 2**20
"""Bytes of the disk that producers leave: acknowledging, and so making room, needs some, too."""

MOST = 100  # messages that one transaction takes where nothing limits it


class Reader(NamedTuple):
    """A consumer of a channel."""

    queue: str
    no_ack: bool
    callback: Callable[[Any], None]


class Unacknowledged:
    """What a channel has taken and not yet settled, in kombu's words its quality of service."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.prefetch_count = 0
        self.ids: dict[int, None] = {}

    def room(self) -> int:
        """Return how many more it may take now."""
        return max(0, self.prefetch_count - len(self.ids)) if self.prefetch_count else MOST

    def can_consume(self) -> bool:
        """Return whether it may take another one."""
        return self.room() > 0

    def ack(self, delivery_tag: int) -> None:
        """Have done with one. What is not ours, or not any more, is nobody's business here."""
        if self.ids.pop(delivery_tag, self) is None:
            self._channel.connection.settle(delivery_tag, requeue=False)

    def reject(self, delivery_tag: int, *, requeue: bool = False) -> None:
        """Have done with one; `requeue` leaves it to others, where it was."""
        if self.ids.pop(delivery_tag, self) is None:
            self._channel.connection.settle(delivery_tag, requeue=requeue)

    def put_back(self, delivery_tag: int) -> None:
        """Leave one to others, where it was, as if it had never been taken."""
        if self.ids.pop(delivery_tag, self) is None:
            self._channel.connection.settle(delivery_tag, requeue=True, seen=False)

    def restore_unacked(self) -> list[Any]:
        """Leave everything to others."""
        for delivery_tag in list(self.ids):
            self.reject(delivery_tag, requeue=True)
        return []

    def restore_unacked_once(self, stderr: object = None) -> None:
        """Leave everything to others, as the channel is closed."""
        self.restore_unacked()


class Channel(virtual.Channel):
    """A channel of one connection. Publishing may be done by any thread; consuming is one thread's."""

    QoS = Unacknowledged  # type: ignore[assignment]  # kombu asks for its methods, not for its class
    supports_fanout = True
    do_restore = False  # what was taken stays in the file, and goes back there by itself
    body_encoding = None  # type: ignore[assignment]  # bytes are fine: no base64

    connection: Transport
    qos: Unacknowledged
    closed: bool

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)  # type: ignore[no-untyped-call]  # kombu has no types
        self.readers: dict[str, Reader] = {}
        self._vanishing: set[str] = set()
        self._turn = 0

    # ------------------------------------------------------------ sending

    def basic_publish(self, message: envelope.Message, exchange: str, routing_key: str, **_: Any) -> None:
        """Put a message into every queue that exchange and key lead to; it is in the file when this returns.

        Raises:
            BrokerFileError: it is not.
        """
        properties = message["properties"]
        properties.setdefault("delivery_info", {}).update(exchange=exchange, routing_key=routing_key)
        payload = envelope.encode(message)
        priority = self._get_message_priority(message)  # type: ignore[no-untyped-call]  # kombu has no types
        due, now = envelope.due(message), self.connection.now()
        due = due if due is not None and due > now else None
        with self.connection.store.write(keep_free=KEEP_FREE) as writing:
            for queue in self._destinations(writing, exchange, routing_key):
                messages.put(writing, Outgoing(queue, payload, priority, due), now)

    def _destinations(self, reading: Reading, exchange: str, routing_key: str) -> list[str]:
        if not exchange:
            return [routing_key]
        kind = self.typeof(exchange)  # type: ignore[no-untyped-call]  # kombu has no types
        table = routes.table(reading, exchange)
        found = {row[2] for row in table} if kind.type == "fanout" else kind.lookup(table, exchange, routing_key, None)
        spare: str | None = self.deadletter_queue  # kombu's option for what leads nowhere
        return sorted(found) or ([spare] if spare else [])

    # ------------------------------------------------------------ queues

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        store = self.connection.store
        vanishes = bool(kwargs.get("exclusive") or kwargs.get("auto_delete"))
        if not vanishes:
            with store.read() as reading:
                if routes.is_declared(reading, queue, None):
                    return
        with store.write() as writing:
            routes.declare(writing, queue, store.owner(writing) if vanishes else None)
        if kwargs.get("auto_delete"):
            self._vanishing.add(queue)

    def _has_queue(self, queue: str, **_: Any) -> bool:
        with self.connection.store.read() as reading:
            return routes.exists(reading, queue) or messages.size(reading, queue) > 0

    def _size(self, queue: str) -> int:
        with self.connection.store.read() as reading:
            return messages.size(reading, queue)

    def _purge(self, queue: str) -> int:
        with self.connection.store.write() as writing:
            return messages.purge(writing, queue)

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False, **_: Any) -> None:
        """Remove a queue, and what is in it."""
        if if_empty and self._size(queue):
            return
        with self.connection.store.write() as writing:
            if if_unused and writing.listeners([messages.topic(queue)]):
                return
            routes.delete(writing, queue)

    def queue_bind(
        self, queue: str, exchange: str | None = None, routing_key: str = "", arguments: object = None, **_: Any
    ) -> None:
        """Lead an exchange to a queue."""
        exchange = exchange or "amq.direct"
        key, pattern, _queue = self.typeof(exchange).prepare_bind(queue, exchange, routing_key or "", arguments)  # type: ignore[no-untyped-call]  # kombu has no types
        binding = Binding(exchange, key, pattern or "", queue)
        store = self.connection.store
        with store.read() as reading:
            if routes.is_bound(reading, binding):
                return
        with store.write() as writing:
            routes.bind(writing, binding)

    def queue_unbind(
        self, queue: str, exchange: str | None = None, routing_key: str = "", arguments: object = None, **_: Any
    ) -> None:
        """Lead it there no more."""
        with self.connection.store.write() as writing:
            routes.unbind(writing, exchange or "amq.direct", routing_key or "", queue)

    def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:
        """Remove an exchange; its queues stay."""
        with self.connection.store.write() as writing:
            routes.delete_exchange(writing, exchange)
        self.state.exchanges.pop(exchange, None)

    def get_table(self, exchange: str) -> list[tuple[str, str | None, str]]:
        """Return where an exchange leads: key, pattern, queue."""
        with self.connection.store.read() as reading:
            return routes.table(reading, exchange)

    # ------------------------------------------------------------ reading

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[[Any], None],
        consumer_tag: str,
        **_: Any,
    ) -> None:
        """Read from a queue from now on; `no_ack`: what is read is gone at once."""
        self.readers[consumer_tag] = Reader(queue, no_ack, callback)
        self._consumers.add(consumer_tag)
        self.connection.listen(queue)

    def basic_cancel(self, consumer_tag: str) -> None:
        """Read no more; what was not yet handed over goes back as if it had never been taken."""
        reader = self.readers.pop(consumer_tag, None)
        self._consumers.discard(consumer_tag)
        if reader is not None and not self.connection.ignore(self, reader.queue) and reader.queue in self._vanishing:
            self._vanishing.discard(reader.queue)
            self.queue_delete(reader.queue)

    def basic_get(self, queue: str, no_ack: bool = False, **_: Any) -> virtual.Message | None:
        """Return one message, or None."""
        found = self.connection.take_one(queue, no_ack=no_ack)
        if found is None:
            return None
        if not no_ack:
            self.qos.ids[found.id] = None
        return self.unpack(found)

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Have done with a message, or with all up to it."""
        for one in [tag for tag in self.qos.ids if tag <= delivery_tag] if multiple else [delivery_tag]:
            self.qos.ack(one)

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Have done with a message; `requeue` leaves it to others, where it was."""
        self.qos.reject(delivery_tag, requeue=requeue)

    def put_back(self, delivery_tag: int) -> None:
        """Leave a message to others, where it was, as if it had never been taken: not to be told as `redelivered`."""
        self.qos.put_back(delivery_tag)

    def drain_events(self, timeout: float | None = None, callback: object = None) -> None:
        """Hand over one message.

        Raises:
            Empty: there is none in time.
        """
        try:
            self.connection.drain_events(self.connection, timeout=timeout)
        except TimeoutError:
            raise Empty from None

    def queues(self, *, no_ack: bool) -> list[str]:
        """Return what it reads from, another one first at every call."""
        names = list(dict.fromkeys(reader.queue for reader in self.readers.values() if reader.no_ack is no_ack))
        self._turn += 1
        start = self._turn % len(names) if names else 0
        return names[start:] + names[:start]

    def unpack(self, taken: Taken) -> virtual.Message:
        """Return a message as kombu's consumers want it."""
        raw = envelope.decode(taken.payload)
        raw["properties"]["delivery_tag"] = taken.id
        raw["properties"].setdefault("delivery_info", {})["redelivered"] = taken.redelivered
        return self.Message(raw, channel=self)  # type: ignore[no-untyped-call]  # kombu has no types

    def hand_over(self, taken: Taken) -> bool:
        """Call the consumer of a message's queue; return whether there is one."""
        for reader in self.readers.values():
            if reader.queue == taken.queue:
                reader.callback(self.unpack(taken))
                return True
        return False

    def close(self) -> None:
        """Leave what is not acknowledged to others."""
        if not self.closed:
            self.closed = True
            self.connection.leave(self)
            self.connection.close_channel(self)  # type: ignore[no-untyped-call]  # kombu has no types
