"""A connection to Redis, which is the owner of what is taken through it and looks after the other owners."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from weakref import WeakSet

from kombu.log import get_logger
from kombu.transport import redis as kombu_redis

from hotplate.tasks.redis import pulse, scripts, transport_name
from hotplate.tasks.redis.channel import Channel, SentinelChannel
from hotplate.tasks.redis.owners import PAUSE, Owner, Watch
from hotplate.tasks.redis.qos import QoS
from hotplate.tasks.untyped import Value

_log = get_logger("hotplate.tasks.redis")

# How many looks a take that was never answered is asked after: what is on its way in a dead connection may still come.
_ASKED_AFTER = 60
_KombuTransport: Value = kombu_redis.Transport
_transports: WeakSet[Transport] = WeakSet()


class Transport(_KombuTransport):
    """A connection to a Redis.

    Args:
        client: Kombu's connection.
    """

    Channel: Value = Channel
    by_tls = False  # also where nothing else asks for it

    def __init__(self, client: Value, **kwargs: Value) -> None:
        if client.ssl is True or (self.by_tls and not client.ssl):
            # Kombu would take any certificate with rediss://, and speak in clear text with `broker_use_ssl=True`.
            client.ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        super().__init__(client, **kwargs)
        self._owner: Owner | None = None
        self._watch: Watch | None = None
        self._looked = float("-inf")
        self._is_known = False  # whether Redis may know us as an owner
        self._pulse: Value = None  # what `beat` says it by
        self._doubtful: dict[str, int] = {}  # tags -> how many more looks they are asked after
        _keep_transport(client, type(self))
        _transports.add(self)

    @property
    def owner(self) -> Owner:
        """Who takes what is taken here; another one after a fork."""
        if self._owner is None or self._owner.pid != os.getpid():
            options = self.client.transport_options if self.client else {}
            self._owner = Owner.new(options.get("hotplate_owner", ""))
            self._watch = self._pulse = None
        return self._owner

    def doubt(self, tag: str) -> None:
        """Remember a take that was not answered; what it took, or takes yet, is given back.

        Args:
            tag: of the take.
        """
        self._doubtful[tag] = _ASKED_AFTER

    def look(self, channel: Value) -> None:
        """Say that we live, and give back what those took who are gone; at most once a second.

        Args:
            channel: to do it on.
        """
        now = monotonic()
        if now - self._looked < PAUSE or not channel.is_ours or not any(each.takes for each in self.channels):
            return
        self._looked = now
        self._is_known = True
        pulse.keep(_known, lambda: PAUSE)
        me = str(self.owner)
        with channel.conn_or_acquire() as client, _refusals_logged(channel):
            if self._watch is None:
                self._watch = Watch(self.owner)
                _warn_of_eviction(client)
            QoS.tell(client)
            self._ask_after_doubtful(channel, client)
            told = iter(scripts.run(client, scripts.BEAT, [channel.key(scripts.OWNERS)], [me]))
            counts = {name.decode(): count.decode() for name, count in zip(told, told, strict=True)}
            for name in self._watch.gone(counts, _mine()):
                _release(channel, client, name, counts[name])

    def beat(self) -> None:
        """Say that we live while the loop does not get to `look`; by another thread, on a connection of its own."""
        if self._owner is None or self._owner.pid != os.getpid() or monotonic() - self._looked < 2 * PAUSE:
            return
        for channel in list(self.channels)[:1]:
            if self._pulse is None:
                self._pulse = channel.another_client()
            scripts.run(self._pulse, scripts.PULSE, [channel.key(scripts.OWNERS)], [str(self._owner)])

    def leave(self, channel: Value) -> None:
        """Be an owner no longer, if a channel that closes is the last that takes; all it took goes back.

        Args:
            channel: that closes; one that was inherited from another process does nothing.
        """
        if not (channel.is_ours and (self._is_known or channel.takes)):
            return
        if any(each.takes for each in self.channels if each is not channel):
            return
        self._is_known = False
        with suppress(*self.connection_errors, *self.channel_errors), channel.conn_or_acquire() as client:
            QoS.tell(client)
            _release(channel, client, str(self.owner))

    def drain_events(self, connection: Value, timeout: float | None = None, **kwargs: Value) -> None:
        """Wait for a message without an event loop."""
        for channel in self.channels[:1]:
            self.look(channel)
        super().drain_events(connection, timeout=timeout, **kwargs)

    def register_with_event_loop(self, connection: Value, loop: Value) -> None:
        """Let an event loop wait for messages, and look after owners."""
        super().register_with_event_loop(connection, loop)
        cycle = self.cycle
        # Kombu looks every 10 s, counts 10 of them as one, and looks no more once a worker has stopped to consume, when
        # its tasks may run for long. Celery runs timers until they have ended.
        cycle._restore_messages_tref.cancel()  # noqa: SLF001  it is Kombu that must not look
        cycle._restore_messages_tref = loop.call_repeatedly(PAUSE, self._look)  # noqa: SLF001  the same

    def close_connection(self, connection: Value) -> None:
        """Close; what was taken and not acknowledged goes back, now or when this process looks again."""
        _transports.discard(self)
        if self._pulse is not None and self._owner is not None and self._owner.pid == os.getpid():
            self._pulse.connection_pool.disconnect()
        super().close_connection(connection)

    def _look(self) -> None:
        """Look from a timer, on a channel that takes or has taken."""
        for channel in [each for each in self.channels if each.takes][:1]:
            try:
                self.look(channel)
            except self.connection_errors as problem:
                # Whoever receives, or acknowledges, sees to it.
                _log.debug("cannot look after those who have taken tasks: %r", problem)

    def _ask_after_doubtful(self, channel: Value, client: Value) -> None:
        if self._doubtful:
            channel.give(list(self._doubtful), client=client)
            self._doubtful = {tag: left - 1 for tag, left in self._doubtful.items() if left > 1}


class SecureTransport(Transport):
    """A connection to a Redis by TLS; its certificate is checked unless its user says otherwise."""

    by_tls = True


class SentinelTransport(Transport):
    """A connection to the Redis that sentinels name."""

    default_port = 26379
    Channel = SentinelChannel


def _release(channel: Value, client: Value, name: str, said: str = "") -> None:
    """Give back all that an owner has taken, and forget it; unless it has said something since."""
    keys = [channel.key(scripts.OWNERS), channel.key(scripts.TAKEN + name)]
    given = scripts.run(client, scripts.RELEASE, keys, [name, said])
    if given and said:
        owner = Owner.parse(name)
        _log.warning("%d tasks go back to their queues: %s is gone", given, owner.shown if owner else name)


def _warn_of_eviction(client: Value) -> None:
    """Say so where Redis throws away what has not been read for long: tasks, for instance."""
    memory = client.info("memory")
    policy = memory.get("maxmemory_policy", "")
    if memory.get("maxmemory") and str(policy).startswith("allkeys"):
        _log.warning(
            "Redis may throw tasks away when its memory is full (maxmemory-policy is %s). "
            "Give tasks a Redis of their own, or type: redis-cli config set maxmemory-policy noeviction",
            policy,
        )


def _known() -> list[Transport]:
    """Return the open connections of this process that Redis may know as owners."""
    return [transport for transport in _open() if transport._is_known]  # noqa: SLF001  a function of this class


def _mine() -> set[str]:
    """Return the owners that the open connections of this process are."""
    return {str(transport._owner) for transport in _open() if transport._owner is not None}  # noqa: SLF001  a function of this class


def _open() -> list[Transport]:
    while True:
        with suppress(RuntimeError):  # another thread has just connected
            return list(_transports)


@contextmanager
def _refusals_logged(channel: Value) -> Iterator[None]:
    """Go on where Redis answers but does not do it, as when its memory is full: there is a next time."""
    try:
        yield
    except channel.ResponseError as error:
        _log.warning("cannot look after those who have taken tasks: %s", error)


def _keep_transport(client: Value, transport: type[Transport]) -> None:
    """Keep a connection with several addresses ours: Kombu goes by the next address's scheme."""
    switch = client.switch

    def switched(address: str) -> None:
        switch(address)
        client.transport_cls = transport if issubclass(transport, SentinelTransport) else transport_name(address)
        if "ssl_" not in address:
            client.ssl = client._initial_params["ssl"]  # noqa: SLF001  Kombu has made it "take any certificate"

    if client.alt:
        client.switch = switched
