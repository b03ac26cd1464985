"""What a channel has taken and not yet acknowledged; Redis has it too, under our owner's name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from hotplate.tasks.redis import scripts
from hotplate.tasks.untyped import Value

_KombuQoS: Value = kombu_redis.QoS
_Memory: Value = virtual.QoS


class QoS(_KombuQoS):
    """Acknowledges, rejects and gives back.

    Args:
        channel: an `hotplate.tasks.redis.channel.Owned`.
        prefetch_count: how many messages may be unacknowledged at a time.
    """

    # What was acknowledged while Redis was away, as keys and tags: of all connections of this process, since it is told
    # by the next one.
    untold: list[tuple[str, str]] = []  # noqa: RUF012  shared on purpose

    @property
    def is_empty(self) -> bool:
        """Whether nothing is unacknowledged."""
        return len(self._delivered) <= len(self._dirty)

    def append(self, message: Value, delivery_tag: str) -> None:
        """Remember a message; taking it has written it down."""
        _Memory.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message: it is done. A Redis that is away is told later, before anything is given back."""
        key = self.channel.taken_key
        try:
            with self.channel.conn_or_acquire() as client:
                scripts.say(client, "HDEL", key, delivery_tag)
        except self.channel.connection_errors:
            self.untold.append((key, delivery_tag))
            raise
        finally:
            _Memory.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  Kombu's signature
        """Put a message back at the end of its queue, or forget it."""
        if requeue:
            self.restore_by_tag(delivery_tag, leftmost=True)
            _Memory.ack(self, delivery_tag)
        else:
            self.ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Value = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002  Kombu's signature
        """Put a message back, to the front of its queue unless told otherwise."""
        self.channel.give([tag], "LPUSH" if leftmost else "RPUSH", client)

    def restore_unacked(self, client: Value = None) -> Sequence[Value]:
        """Put back all that is neither acknowledged nor rejected; the one taken first is first again."""
        self._flush()
        if self._delivered and self.channel.is_ours:
            self.channel.give(list(reversed(self._delivered)), "RPUSH", client)
        self._delivered.clear()
        return ()

    def restore_unacked_once(self, stderr: Value = None) -> None:
        """Put everything back when the channel closes or the process ends; without Redis, it comes back by itself."""
        with suppress(*self.channel.connection_errors):
            super().restore_unacked_once(stderr)

    def restore_visible(self, **_: Value) -> None:
        """Look who is gone, instead of how old a message is: a long task is no lost one."""
        if self.channel.connection is not None:
            self.channel.connection.look(self.channel)

    @classmethod
    def tell(cls, client: Value) -> None:
        """Tell Redis what was acknowledged while it was away."""
        while cls.untold:
            scripts.say(client, "HDEL", *cls.untold[-1])
            cls.untold.pop()
