"""kombu's transport: connections to the file, with an event loop (`looping`) or without (`drain_events`).

One transaction settles what is done and takes what is next; nobody polls. Without a loop acknowledgements are written
at once.
"""

# ruff: noqa: ANN401, ARG002  # the signatures are kombu's, and so are the types it has not
from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kombu.transport import base, virtual

from hotplate.tasks.embedded import messages, register
from hotplate.tasks.embedded.channel import Channel as EmbeddedChannel
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.file import open as open_store
from hotplate.tasks.embedded.location import location
from hotplate.tasks.embedded.looping import Looping
from hotplate.tasks.embedded.messages import Taken
from hotplate.tasks.embedded.problems import BrokerFileError, FileUnusableError
from hotplate.tasks.embedded.turns import Turns
from hotplate.tasks.embedded.waiting import Waiting

register()


class Transport(virtual.Transport):
    """A connection to an embedded broker.

    Transport options (`broker_transport_options`): `application`, the name of the application whose file this is.
    """

    Channel = EmbeddedChannel
    can_parse_url = True
    driver_type = "hotplate"
    driver_name = "sqlite"
    connection_errors = (FileUnusableError,)
    recoverable_connection_errors = (FileUnusableError,)
    implements = base.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(["direct", "topic", "fanout"]), heartbeats=False
    )

    now: Callable[[], float] = staticmethod(time.time)
    store: Store
    turns: Turns
    channels: list[EmbeddedChannel]

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)  # type: ignore[no-untyped-call]  # kombu has no types
        self._client = client
        self._pid = os.getpid()
        self._waiting: Waiting | None = None
        self._looping: Looping | None = None

    # ------------------------------------------------------------ the connection

    def establish_connection(self) -> Transport:
        """Open the file.

        Raises:
            FileUnusableError: it cannot be.
            ForeignFileError: it is another application's, or another program's.
            HotplateError: the URL makes no sense.
        """
        where = location(self._client.hostname)
        self.store = open_store(where.path, durable=where.durable)
        application = self._client.transport_options.get("application")
        if application:
            self.store.claim(application, shared=where.shared)
        else:
            self.store.get_meta("application")  # whether it can be used shows here
        self.turns = Turns(self.store, self.channels, self._time)
        return self

    def create_channel(self, connection: Transport) -> EmbeddedChannel:
        """Return a new channel."""
        channel = EmbeddedChannel(connection)
        self.channels.append(channel)
        return channel

    def close_connection(self, connection: Transport) -> None:
        """Leave what is not acknowledged to others, and wait for nothing any more."""
        self._follow_fork()
        for channel in list(self.channels):
            channel.close()
        self.turns.desk.leave()
        self.unregister_from_event_loop(self, None)
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def register_with_event_loop(self, connection: Transport, loop: Any) -> None:
        """Take part in Celery's loop from now on."""
        self._looping = Looping(loop, self.turns)
        if self._waiting is not None:
            self._looping.wait_with(self._waiting)

    def unregister_from_event_loop(self, connection: Transport, loop: Any) -> None:
        """Take part no more."""
        looping, self._looping = self._looping, None
        if looping is not None:
            looping.leave()

    def verify_connection(self, connection: Transport) -> bool:
        """Return whether it can be used: a file always can."""
        return True

    def driver_version(self) -> str:
        """Return SQLite's version."""
        return sqlite3.sqlite_version

    # ------------------------------------------------------------ what channels ask for

    def listen(self, queue: str) -> None:
        """Be woken for a queue."""
        self._follow_fork()
        if self._waiting is None:
            self._waiting = Waiting(self.store)
            if self._looping is not None:
                self._looping.wait_with(self._waiting)
        self._waiting.listen(messages.topic(queue))
        self.turns.desk.look = True

    def ignore(self, channel: EmbeddedChannel, queue: str) -> bool:
        """Give back what a channel was not handed over of a queue; return whether another one here reads from it."""
        self._follow_fork()
        self.turns.desk.withdraw(channel, queue)
        self.turns.settle()
        still_read = any(reader.queue == queue for one in self.channels for reader in one.readers.values())
        if self._waiting is not None and not still_read:
            with suppress(BrokerFileError):  # a byte more does no harm
                self._waiting.ignore(messages.topic(queue))
        return still_read

    def leave(self, channel: EmbeddedChannel) -> None:
        """Give back what a channel has that is closed."""
        self._follow_fork()
        for tag in list(channel.readers):
            channel.basic_cancel(tag)
        channel.qos.restore_unacked()
        self.turns.settle()

    def settle(self, number: int, *, requeue: bool, seen: bool = True) -> None:
        """Have done with a message: acknowledged or dropped, or left to others, who are told whether it was seen."""
        self._follow_fork()
        self.turns.desk.settle(number, requeue=requeue, seen=seen)
        if self._looping is None or not self._looping.ticks:
            self.turns.settle()

    def take_one(self, queue: str, *, no_ack: bool) -> Taken | None:
        """Return one message of a queue, if there is one now.

        Raises:
            BrokerFileError: the file cannot be used at the moment.
        """
        self._follow_fork()
        with self.store.write() as writing:
            messages.promote(writing, self.now())
            found = messages.take(writing, [queue], 1, None if no_ack else self.store.owner(writing))
        return found[0] if found else None

    # ------------------------------------------------------------ without an event loop

    def drain_events(self, connection: Transport, timeout: float | None = None, **_: Any) -> None:
        """Hand over one message, waiting for it if there is none.

        Args:
            connection: this one.
            timeout: seconds; None waits for ever.

        Raises:
            TimeoutError: there was none in time.
            FileUnusableError: the file is damaged, or another one is in its place.
        """
        self._follow_fork()
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if not self.turns.desk.arrived:
                self._take_without_loop()
            if self.turns.desk.arrived:
                self.turns.desk.hand_over_one()
                return
            pause = self.turns.pause()
            if until is not None:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                pause = min(pause, left)
            if self._waiting is None:
                time.sleep(pause)
            elif self._waiting.wait(pause):
                self.turns.desk.look = True

    def _take_without_loop(self) -> None:
        desk = self.turns.desk
        if self._waiting is not None and self._waiting.wait(0):
            desk.look = True
        if time.monotonic() >= self.turns.next_look:
            self.turns.look_around()
        if self.turns.seconds_to_due() == 0:
            desk.look = True
        self.turns.take(batches=False)

    def _time(self) -> float:
        return self.now()

    def _follow_fork(self) -> None:
        """A child of the process that consumes has nothing, and leaves the parent's loop and sockets alone."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._looping = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        self.turns.desk.forget()
        for channel in self.channels:
            channel.readers.clear()
            channel.qos.ids.clear()
