"""Looking into the embedded broker: its file knows everything, and is read without taking anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager

from hotplate.tasks.admin import parked
from hotplate.tasks.admin.amqp import taking
from hotplate.tasks.admin.looking import Depth, holds_tasks
from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.embedded import envelope
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import NEWEST, PARKED


class Embedded:
    """A broker that is a file of this machine.

    Args:
        connection: Kombu's, open.
    """

    def __init__(self, connection: Value) -> None:
        self._connection = connection
        self._store: Store = connection.connection.store

    def queues(self, known: Collection[str]) -> list[Depth]:
        """See `Look`."""
        counts = self._store.counts()
        found = [
            Depth(name, count.ready, count.delayed, count.taken, count.oldest_age if count.ready else None)
            for name, count in counts.items()
            if holds_tasks(name)
        ]
        return found + [Depth(name, 0, 0, 0) for name in known if name not in counts]

    def parked(self) -> list[ParkedTask]:
        """See `Look`."""
        found = self._store.peek(PARKED, 2 * NEWEST)
        return [parked.read(envelope.decode(each.payload).get("headers") or {}) for each in found]

    def walk(self) -> AbstractContextManager[Iterator[Entry]]:
        """See `Look`."""
        return taking(self._connection)
