"""kombu's transport: one transaction settles what is done and takes what is next; nobody polls.

In an event loop (Celery's prefork, threads and solo pools) a turn is taken at the loop's tick: acknowledgements that
came in since the last tick and the taking of new messages share one transaction. What was taken is handed over from the
callback of the waking socket, so that the loop's other parts see its effects before the loop sleeps. Without a loop
(`drain_events`) acknowledgements are written at once.
"""

# ruff: noqa: ANN401, ARG002  # the signatures are kombu's, and so are the types it has not

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kombu.transport import base, virtual

from hotplate.tasks.embedded import messages, problems, register
from hotplate.tasks.embedded.channel import Channel as EmbeddedChannel
from hotplate.tasks.embedded.desk import Desk
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.file import open as open_store
from hotplate.tasks.embedded.location import location
from hotplate.tasks.embedded.messages import Taken
from hotplate.tasks.embedded.problems import BrokerFileError, FileUnusableError
from hotplate.tasks.embedded.sweep import sweep, tidy
from hotplate.tasks.embedded.waiting import Waiting

register()
logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks for what nobody tells: the dead, what is due since the clock was set, a lost byte."""

_HAND_OVER_FOR = 0.01  # seconds: then acknowledgements get their turn (a solo pool works inside the hand-over)


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
    desk: Desk
    channels: list[EmbeddedChannel]

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)  # type: ignore[no-untyped-call]  # kombu has no types
        self._client = client
        self._pid = os.getpid()
        self._waiting: Waiting | None = None
        self._generation = 0
        self._next_look = 0.0
        self._loop: Any = None
        self._thread = 0
        self._timer: Any = None
        self._alarm: Any = None
        self._trouble = ""

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
        self._generation = self.store.generation
        self.desk = Desk(self.store)
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
        self._leave_loop()
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def verify_connection(self, connection: Transport) -> bool:
        """Return whether it can be used: a file always can."""
        return True

    def driver_version(self) -> str:
        """Return SQLite's version."""
        return sqlite3.sqlite_version

    # ------------------------------------------------------------ consumers

    def listen(self, queue: str) -> None:
        """Be woken for a queue."""
        self._follow_fork()
        if self._waiting is None:
            self._waiting = Waiting(self.store)
            if self._loop is not None:
                self._loop.add_reader(self._waiting.fileno(), self._on_wake)
        self._waiting.listen(messages.topic(queue))
        self.desk.look = True

    def ignore(self, channel: EmbeddedChannel, queue: str) -> bool:
        """Give back what a channel was not handed over of a queue; return whether another one here reads from it."""
        self._follow_fork()
        self.desk.withdraw(channel, queue)
        self._settle_now()
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
        self._settle_now()

    def settle(self, number: int, *, requeue: bool) -> None:
        """Have done with a message: acknowledged or dropped, or left to others."""
        self._follow_fork()
        self.desk.settle(number, requeue=requeue)
        # Celery's prefork pool acknowledges from another thread while it stops: no tick will come any more.
        if self._loop is None or self._thread != threading.get_ident():
            self._settle_now()

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
        """
        self._follow_fork()
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            if not self.desk.arrived:
                self._turn_without_loop()
            if self.desk.arrived:
                self.desk.hand_over_one()
                return
            pause = self._pause()
            if until is not None:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                pause = min(pause, left)
            if self._waiting is None:
                time.sleep(pause)
            elif self._waiting.wait(pause):
                self.desk.look = True

    def _turn_without_loop(self) -> None:
        if self._waiting is not None and self._waiting.wait(0):
            self.desk.look = True
        if time.monotonic() >= self._next_look:
            self._guarded(self._look_around, writes=False)
        if self.desk.due is not None and self.desk.due <= self.now():
            self.desk.look = True
        self._guarded(self._turn)

    def _pause(self) -> float:
        """Return after how many seconds to look again, if nobody wakes us before."""
        pause = self._next_look - time.monotonic()
        if self.desk.due is not None and not self._trouble:
            pause = min(pause, self.desk.due - self.now())
        return max(0.0, pause)

    # ------------------------------------------------------------ in an event loop

    def register_with_event_loop(self, connection: Transport, loop: Any) -> None:
        """Take part in Celery's loop from now on."""
        self._loop, self._thread = loop, threading.get_ident()
        loop.on_tick.add(self._on_tick)
        loop.on_close.add(self._on_loop_closed)
        self._timer = loop.call_repeatedly(LOOK_EVERY, self._on_timer)
        if self._waiting is not None:
            loop.add_reader(self._waiting.fileno(), self._on_wake)

    def unregister_from_event_loop(self, connection: Transport, loop: Any) -> None:
        """Take part no more."""
        self._leave_loop()

    def _on_tick(self) -> None:
        if self._trouble or not (self.desk.unsettled or (self.desk.look and self._has_room())):
            return
        self._guarded(self._turn)
        if self.desk.arrived and self._waiting is not None:
            self._waiting.poke()
        self._set_alarm()

    def _on_wake(self) -> None:
        if self._waiting is None:
            return
        if self._waiting.clear():
            self.desk.look = True
        until = time.monotonic() + _HAND_OVER_FOR
        try:
            while self.desk.arrived and time.monotonic() < until:
                self.desk.hand_over_one()
        finally:
            if self.desk.arrived and self._waiting is not None:
                self._waiting.poke()

    def _on_timer(self) -> None:
        self._guarded(self._look_around, writes=False)
        if self._trouble:
            self._guarded(self._turn)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.desk.look = True

    def _set_alarm(self) -> None:
        due = self.desk.due
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due is not None and due - self.now() < LOOK_EVERY:
            self._alarm = self._loop.call_later(max(0.0, due - self.now()), self._on_alarm)

    def _on_loop_closed(self, _loop: object) -> None:
        self._loop = None
        self._settle_now()

    def _leave_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.on_tick.discard(self._on_tick)
        loop.on_close.discard(self._on_loop_closed)
        for entry in filter(None, (self._timer, self._alarm)):
            entry.cancel()
        if self._waiting is not None:
            loop.remove_reader(self._waiting.fileno())

    # ------------------------------------------------------------ turns

    def _turn(self) -> None:
        if self.desk.look:
            self.desk.turn(self.channels, self.now(), batches=self._loop is not None)
        else:
            self.desk.write()

    def _settle_now(self) -> None:
        self._guarded(self.desk.write)

    def _has_room(self) -> bool:
        return any(channel.readers and channel.qos.can_consume() for channel in self.channels)

    def _look_around(self) -> None:
        self._next_look = time.monotonic() + LOOK_EVERY
        sweep(self.store)
        queues = {reader.queue for channel in self.channels for reader in channel.readers.values()}
        with self.store.read() as reading:
            self.desk.due = messages.next_due(reading)
            ready = messages.has_ready(reading, queues)
        if self.store.generation != self._generation:
            self.desk.forget()
            raise problems.replaced(self.store.path)
        if ready or (self.desk.due is not None and self.desk.due <= self.now()):
            self.desk.look = True
        elif not self.desk.unsettled:
            tidy(self.store)

    def _guarded(self, work: Callable[[], None], *, writes: bool = True) -> None:
        """Do something with the file; where it has no room or is busy, wait for better times instead of giving up."""
        try:
            work()
        except FileUnusableError:
            raise
        except BrokerFileError as problem:
            if str(problem) != self._trouble:
                logger.error("%s Trying again every second.", problem)  # noqa: TRY400  # no bug: a traceback says nothing
            self._trouble = str(problem)
            return
        if self._trouble and writes:
            logger.warning("The broker's file %s can be written to again.", self.store.path)
            self._trouble = ""

    def _follow_fork(self) -> None:
        """A child of the process that consumes has nothing, and leaves the parent's loop and sockets alone."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._loop = self._timer = self._alarm = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        self.desk.forget()
        for channel in self.channels:
            channel.readers.clear()
            channel.qos.ids.clear()
