"""Looking into a broker: how deep its queues are, and which tasks are parked.

Looking changes nothing. Messages that are to be worked on are never taken for it: a broker marks what it delivers
again, and a task that was delivered again counts as one that may have killed its process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.brokers import Kind
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import PARKED

_NO_TASKS = (".pidbox", "celeryev", PARKED)


class Depth(NamedTuple):
    """How much is in a queue; None is what the broker does not tell.

    Args:
        name: of the queue.
        depth: messages that wait for a worker.
        delayed: messages whose time has not come.
        taken: messages that a worker has.
        oldest: seconds that the first one has been waiting.
    """

    name: str
    depth: int | None = None
    delayed: int | None = None
    taken: int | None = None
    oldest: float | None = None


class Look(Protocol):
    """A broker, looked into by a connection that is open."""

    def queues(self, known: Collection[str]) -> list[Depth]:
        """Return the queues of tasks: those known, and others that the broker tells of; never that of parked ones."""

    def parked(self) -> list[ParkedTask]:
        """Return what is parked; what is parked twice is there twice."""

    def walk(self) -> AbstractContextManager[Iterator[Entry]]:
        """Go through what is parked, oldest first; what is not removed on the way stays."""


def holds_tasks(queue: str) -> bool:
    """Whether a queue is one of tasks, by its name: not of remote control, of events, or of parked ones."""
    return not any(mark in queue for mark in _NO_TASKS)


def look(connection: Value, kind: Kind) -> Look:
    """Return the way to look into a kind of broker.

    Args:
        connection: Kombu's, open.
        kind: of its broker.
    """
    if kind == "embedded":
        from hotplate.tasks.admin.embedded import Embedded

        return Embedded(connection)
    if kind == "redis":
        from hotplate.tasks.admin.lists import Lists

        return Lists(connection)
    from hotplate.tasks.admin.amqp import Amqp

    return Amqp(connection)
