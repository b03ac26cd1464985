"""What a connection has taken, what of it is done, and what comes next: one transaction for all of it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hotplate.tasks.embedded import messages
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Taken
from hotplate.tasks.embedded.transactions import Writing

if TYPE_CHECKING:
    from hotplate.tasks.embedded.channel import Channel


class Arrived(NamedTuple):
    """A message that is ours and not yet handed over."""

    channel: Channel
    no_ack: bool
    taken: Taken


class Desk:
    """The messages of one connection. Any thread may settle; one consumes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.look = True
        """There may be something to take."""
        self.due: float | None = None
        """When the next delayed message is due, as of the last look; seconds since 1970."""
        self.arrived: deque[Arrived] = deque()
        self._acknowledged: list[int] = []
        self._returned: list[int] = []
        self._unseen: list[int] = []
        self._lock = threading.Lock()

    @property
    def unsettled(self) -> bool:
        """Whether something is done that the file does not know of."""
        return bool(self._acknowledged or self._returned or self._unseen)

    def settle(self, number: int, *, requeue: bool, seen: bool = True) -> None:
        """Note that a message is done: acknowledged or dropped, or left to others. It is written at the next turn.

        Args:
            number: of the message.
            requeue: it is left to others.
            seen: somebody may have begun to work on it.
        """
        returned = self._returned if seen else self._unseen
        (returned if requeue else self._acknowledged).append(number)

    def write(self) -> None:
        """Write what is settled.

        Raises:
            BrokerFileError: nothing was changed, and the next turn tries again.
        """
        with self._lock:
            settled = self._settled()
            if any(settled):
                with self.store.write() as writing:
                    self._write(writing, settled)
                self._written(settled)

    def turn(self, channels: list[Channel], now: float, *, batches: bool) -> None:
        """Write what is settled, and take what is there.

        Args:
            channels: whose room decides how much.
            now: the time of day.
            batches: take as much as there is room for, where nothing limits it.

        Raises:
            BrokerFileError: nothing was changed, and the next turn tries again.
        """
        self.look = False  # set again by whoever is told of more while this turn is taken
        arrived: list[Arrived] = []
        more = True
        try:
            with self._lock:
                settled = self._settled()
                with self.store.write() as writing:
                    self._write(writing, settled)
                    messages.promote(writing, now)
                    more = sum(self._take(writing, channel, arrived, batches=batches) for channel in channels) > 0
                    self.due = messages.next_due(writing)
                self._written(settled)
        finally:
            self.look = self.look or more
        for one in arrived:
            if not one.no_ack:
                one.channel.qos.ids[one.taken.id] = None
        self.arrived.extend(arrived)

    def hand_over_one(self) -> None:
        """Give the first of the arrived messages to its consumer."""
        one = self.arrived.popleft()
        if not one.channel.hand_over(one.taken) and not one.no_ack:
            self._give_up(one)

    def withdraw(self, channel: Channel, queue: str) -> None:
        """Give back what a channel has of a queue and was not handed over: nobody has seen it."""
        kept: deque[Arrived] = deque()
        for one in self.arrived:
            if one.channel is channel and one.taken.queue == queue:
                self._give_up(one)
            else:
                kept.append(one)
        self.arrived = kept

    def leave(self) -> None:
        """Leave what could not be written, for want of room, to the next connection of this process."""
        with self._lock:
            settled = self._settled()
            self.store.leave(self._pending())
            self._written(settled)

    def forget(self) -> None:
        """Have nothing: it was another process's, or another file's."""
        self.arrived.clear()
        for pending in self._pending():
            pending.clear()

    def _give_up(self, one: Arrived) -> None:
        if not one.no_ack and one.channel.qos.ids.pop(one.taken.id, one) is None:
            self._unseen.append(one.taken.id)

    def _pending(self) -> tuple[list[int], list[int], list[int]]:
        return self._acknowledged, self._returned, self._unseen

    def _settled(self) -> tuple[int, int, int]:
        for ours, theirs in zip(self._pending(), self.store.adopt(), strict=True):
            ours.extend(theirs)
        return len(self._acknowledged), len(self._returned), len(self._unseen)

    def _write(self, writing: Writing, settled: tuple[int, int, int]) -> None:
        if any(settled):
            acknowledged, returned, unseen = settled
            owner = self.store.owner(writing)
            messages.acknowledge(writing, owner, self._acknowledged[:acknowledged])
            messages.give_back(writing, owner, self._returned[:returned])
            messages.give_back(writing, owner, self._unseen[:unseen], seen=False)

    def _written(self, settled: tuple[int, int, int]) -> None:
        """Forget what is in the file: as much as there was before, since another thread may have added to it."""
        for pending, count in zip(self._pending(), settled, strict=True):
            del pending[:count]

    def _take(self, writing: Writing, channel: Channel, arrived: list[Arrived], *, batches: bool) -> bool:
        """Take for one channel; return whether there may be more."""
        more = False
        for no_ack in (True, False):
            queues = channel.queues(no_ack=no_ack)
            if not queues:
                continue
            # Without a prefetch limit a script that wants one message does not take a hundred.
            limited = channel.qos.prefetch_count and not no_ack
            limit = channel.qos.room() if limited or batches else 1
            owner = None if no_ack else self.store.owner(writing)
            found = messages.take(writing, queues, limit, owner) if limit else []
            more = more or len(found) == limit
            arrived.extend(Arrived(channel, no_ack, taken) for taken in found)
        return more
