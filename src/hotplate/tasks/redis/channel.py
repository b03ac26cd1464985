"""A channel that takes a message and writes down whose it is now in one step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import count
from queue import Empty
from time import monotonic

from kombu.log import get_logger
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps, loads

from hotplate.tasks.redis import scripts
from hotplate.tasks.redis.qos import QoS
from hotplate.tasks.untyped import Value

_log = get_logger("hotplate.tasks.redis")

# Ends the name of the list that those wait for who find nothing; priorities end in digits.
_WAKE = "wake"
_numbers = count(1)
_Mixin: Value = object
_encoded: Value = dumps
_decoded: Value = loads
_KombuChannel: Value = kombu_redis.Channel
_KombuSentinelChannel: Value = kombu_redis.SentinelChannel


class Owned(_Mixin):
    """What is mixed into Kombu's channels.

    Kombu's poller sends a BRPOP and reads its answer when its socket is readable; here that is a script which takes
    and, when there is nothing, a BRPOP of the wake lists, on the same socket and read in the same place.

    Args:
        connection: the `hotplate.tasks.redis.transport.Transport` it belongs to.
    """

    QoS = QoS
    # A machine that is gone without a word is noticed; Kombu would wait for it for ever. Transport options win.
    socket_connect_timeout = 5
    socket_timeout = 30
    socket_keepalive = True

    def __init__(self, connection: Value, *args: Value, **kwargs: Value) -> None:
        self._unrecorded: set[str] = set()
        self._in_poll: Value = None  # the connection that an answer is due on
        self._asked = ""  # tag of the take that is under way; empty while waiting
        self._pid = os.getpid()
        self._owner = str(connection.owner)
        super().__init__(connection, *args, **kwargs)

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's, and not inherited from the one that forked it."""
        return self._pid == os.getpid()

    @property
    def takes(self) -> bool:
        """Whether it takes, or has taken, what has to be acknowledged."""
        return not self.qos.is_empty or any(queue not in self._unrecorded for queue in self.active_queues)

    @property
    def taken_key(self) -> str:
        """The key of what is taken; a task may end, and be acknowledged, after its connection was lost."""
        if self.connection is not None:
            self._owner = str(self.connection.owner)
        return self.key(scripts.TAKEN + self._owner)

    def key(self, name: str) -> str:
        """Return a key as Redis has it: Kombu prefixes some commands' keys by itself, a script's not."""
        return f"{self.global_keyprefix}{name}"

    def another_client(self) -> Value:
        """Return a client that shares neither connections nor locks with the channel's."""
        return self._get_client()(connection_pool=self._get_pool())

    def give(self, tags: Iterable[str], side: str = "RPUSH", client: Value = None) -> None:
        """Put messages of ours back; what we do not have is nobody's loss.

        Args:
            tags: of the messages.
            side: RPUSH for the front of the queue, LPUSH for its end.
            client: to use; None for one of our own.
        """
        with self.conn_or_acquire(client) as found:
            scripts.run(found, scripts.GIVE, [self.taken_key], [side, *tags])

    def basic_consume(self, queue: str, no_ack: bool, *args: Value, **kwargs: Value) -> Value:  # noqa: FBT001  Kombu's signature
        """Consume from a queue; what needs no acknowledgement is not written down."""
        (self._unrecorded.add if no_ack else self._unrecorded.discard)(queue)
        consumer = super().basic_consume(queue, no_ack, *args, **kwargs)
        self.connection.look(self)  # who begins need not wait for what a predecessor left
        return consumer

    def basic_get(self, queue: str, no_ack: bool = False, **_: Value) -> Value:  # noqa: FBT001, FBT002  Kombu's signature
        """Take one message, or None."""
        tag = _next_tag()
        try:
            with self.conn_or_acquire() as client:
                answer = scripts.run(client, *self._take([queue], tag, recorded=not no_ack))
                self._maybe_update_queues_expire(client, queue)
        except self.connection_errors:
            self.connection.doubt(tag)
            raise
        read = self._read(answer, tag) if answer else None
        if read is None:
            return None
        message = self.Message(read[1], channel=self)
        if not no_ack:
            self.qos.append(message, message.delivery_tag)
        return message

    def close(self) -> None:
        """Close, without reading what is still on its way: it is written down, and goes back."""
        if self._in_poll:
            self._lose_track()
            self._in_poll = None
        if not self.closed and self.connection is not None:
            self.connection.leave(self)
        super().close()

    def _take(self, queues: list[str], tag: str, *, recorded: bool = True) -> tuple[str, list[str], list[str | int]]:
        """Return the script that takes the next message of some queues, its keys and its arguments."""
        flags = [int(recorded and queue not in self._unrecorded) for queue in queues]
        keys = [self.key(scripts.OWNERS), self.taken_key, *map(self._wake, queues)]
        # 9 first, as AMQP and the embedded broker have it; Kombu's Redis transport would take 0 first.
        steps = reversed(self.priority_steps)
        keys += [self.key(self._q_for_pri(queue, step)) for step in steps for queue in queues]
        return scripts.TAKE, keys, [self._owner, tag, len(queues), *flags]

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002  Kombu's signature
        """Ask for a message; Kombu's poller tells when there is an answer."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if queues:
            self._asked = _next_tag()
            self._send(*scripts.command(*self._take(queues, self._asked)))

    def _brpop_read(self, **options: Value) -> bool:
        """Read an answer: a message is delivered; if there is none, wait until there may be one.

        Raises:
            Empty: there was none.
        """
        connection = self.client.connection
        try:
            answer = self.client.parse_response(connection, "EVAL", **options)
        except self.ResponseError:
            self._lose_track()
            raise
        except BaseException:  # a signal's handler may raise in the middle of an answer: the rest is no use
            self._lose_track()
            connection.disconnect()
            raise
        finally:
            self._in_poll = None
        asked, self._asked = self._asked, ""
        self._flush_brpop_reauth()
        read = self._read(answer, asked) if asked and answer else None
        if read is not None:
            self._queue_cycle.rotate(read[0])
            self.connection._deliver(read[1], read[0])  # noqa: SLF001  as Kombu's own channel does
            return True
        if asked and not answer and self.active_queues and connection._sock is not None:  # noqa: SLF001  as Kombu's poller does
            # Their order does not matter: whoever is woken takes from the first queue that has something.
            self._send("BRPOP", *map(self._wake, self.active_queues), self.brpop_timeout or 0)
        raise Empty

    def _send(self, *command: str | float) -> None:
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self._in_poll.send_command(*command)

    def _poll_error(self, kind: str, **options: Value) -> None:
        """Meet an error of a connection where it shows."""
        self.handlers[kind](**options)

    def _on_connection_disconnect(self, connection: Value) -> None:
        if self._in_poll is connection:
            self._lose_track()
        super()._on_connection_disconnect(connection)

    def _lose_track(self) -> None:
        """Remember that a message may have been taken that we shall not be told of."""
        asked, self._asked = self._asked, ""
        if asked and self.connection is not None:
            self.connection.doubt(asked)

    def _read(self, answer: list[bytes], tag: str) -> tuple[str, Value] | None:
        """Return the queue and the message of an answer; the message says whether it was delivered before."""
        key, raw = answer
        try:
            message = _decoded(raw)
            properties = message["properties"]
            info = properties.setdefault("delivery_info", {})
            info["redelivered"] = bool(message.pop("redelivered", False) or info.get("redelivered", False))
            properties["delivery_tag"] = tag
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._put_aside(raw, tag, error)
            return None
        return key.decode().removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0], message

    def _put_aside(self, raw: bytes, tag: str, error: Exception) -> None:
        """Keep what nobody can read where it is in nobody's way."""
        aside = self.key(scripts.UNREADABLE)
        with self.conn_or_acquire() as client:
            scripts.say(client, "LPUSH", aside, raw)
            scripts.say(client, "HDEL", self.taken_key, tag)
        _log.error("a message of %d bytes is none (%r): it is kept in the list %s", len(raw), error, aside)

    def _restore(self, message: Value, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002  Kombu's signature
        self.qos.restore_by_tag(message.delivery_tag, leftmost=leftmost)

    def _put(self, queue: str, message: Mapping[str, Value], **kwargs: Value) -> None:
        """Add a message to a queue, and wake whoever waits."""
        list_ = self.key(self._q_for_pri(queue, self._get_message_priority(message, reverse=False)))
        expires = (self._expires or {}).get(queue, 0)
        every = [self.key(self._q_for_pri(queue, step)) for step in self.priority_steps] if expires else []
        put = scripts.PUT, [list_, self._wake(queue), *every], [_encoded(message), expires]
        batch = kwargs.pop("_publish_batch", None)
        if batch is not None:
            batch.add("execute_command", *scripts.command(*put))
            return
        with self.conn_or_acquire() as client:
            scripts.run(client, *put)

    def _delete(self, queue: str, *args: Value, **kwargs: Value) -> None:
        super()._delete(queue, *args, **kwargs)
        with self.conn_or_acquire(kwargs.get("client")) as client:
            scripts.say(client, "DEL", self._wake(queue))

    def _wake(self, queue: str) -> str:
        """Return the key of a queue's wake list."""
        return self.key(f"{queue}{self.sep}{_WAKE}")


class Channel(Owned, _KombuChannel):
    """A channel to a Redis."""


class SentinelChannel(Owned, _KombuSentinelChannel):
    """A channel to the Redis that sentinels name."""


def _next_tag() -> str:
    """Return a tag that is new to this process; sorted as text, tags are in order."""
    return f"{next(_numbers):015d}"
