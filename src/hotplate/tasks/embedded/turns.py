"""When a connection settles, takes, and looks around; and what it does while the file cannot be written to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hotplate.tasks.embedded import messages, problems
from hotplate.tasks.embedded.desk import Desk
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.problems import BrokerFileError, FileUnusableError
from hotplate.tasks.embedded.sweep import sweep, tidy

if TYPE_CHECKING:
    from hotplate.tasks.embedded.channel import Channel

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks for what nobody tells: the dead, what is due since the clock was set, a lost byte."""


class Turns:
    """One connection's doings with the file.

    Args:
        store: the file.
        channels: the connection's, as they come and go.
        now: the time of day; due times are given in it, and nothing else.
    """

    def __init__(self, store: Store, channels: list[Channel], now: Callable[[], float]) -> None:
        self.store = store
        self.desk = Desk(store)
        self.next_look = 0.0
        self.trouble = ""
        """Why the file could not be written to when last tried."""
        self._channels = channels
        self._now = now
        self._generation = store.generation

    def take(self, *, batches: bool) -> None:
        """Settle, and take if there may be something; where that cannot be now, it stays to be done."""
        if self.desk.look:
            self._guarded(lambda: self.desk.turn(self._channels, self._now(), batches=batches))
        else:
            self.settle()

    def settle(self) -> None:
        """Write what is done; where that cannot be now, it stays to be done."""
        self._guarded(self.desk.write)

    def look_around(self) -> None:
        """Do what nobody tells us to do, and see whether there is something to take.

        Raises:
            FileUnusableError: it is damaged, or another file is in its place.
        """
        self.next_look = time.monotonic() + LOOK_EVERY
        self._guarded(self._look, writes=False)

    def has_room(self) -> bool:
        """Return whether anybody here may take another message."""
        return any(channel.readers and channel.qos.can_consume() for channel in self._channels)

    def seconds_to_due(self) -> float | None:
        """Return how long the next delayed message has to wait; None where there is none."""
        return None if self.desk.due is None else max(0.0, self.desk.due - self._now())

    def pause(self) -> float:
        """Return after how many seconds to look again, if nobody tells us before."""
        pause = self.next_look - time.monotonic()
        due = self.seconds_to_due()
        if due is not None and not self.trouble:
            pause = min(pause, due)
        return max(0.0, pause)

    def _look(self) -> None:
        sweep(self.store)
        queues = {reader.queue for channel in self._channels for reader in channel.readers.values()}
        with self.store.read() as reading:
            self.desk.due = messages.next_due(reading)
            ready = messages.has_ready(reading, queues)
        if self.store.generation != self._generation:
            self.desk.forget()
            raise problems.replaced(self.store.path)
        if ready or self.seconds_to_due() == 0:
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
            if str(problem) != self.trouble:
                logger.error("%s Trying again every second.", problem)  # noqa: TRY400  # no bug: a traceback says nothing
            self.trouble = str(problem)
            return
        if self.trouble and writes:
            logger.warning("The broker's file %s can be written to again.", self.store.path)
            self.trouble = ""
