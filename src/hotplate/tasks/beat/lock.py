"""Who of several beats sends: what holds for every broker's lock, and which broker has which.

A lock is where the schedule's last runs are kept, too, and what ticks are sent through: only so can it be sure, right
before it sends, that nobody else has taken its place meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import msgspec
from celery.app.base import Celery

from hotplate.tasks import brokers, place
from hotplate.tasks.beat.connecting import Producer
from hotplate.tasks.embedded.location import location


class Run(msgspec.Struct, frozen=True):
    """When an entry of the schedule was last sent.

    Args:
        last: when that was; for an entry that never was, when it was first seen.
        count: how many times it has been sent.
    """

    last: datetime
    count: int = 0


class LockLostError(Exception):
    """Another beat may be sending; whoever gets this stops at once."""


class Lock(Protocol):
    """One of the beats has it.

    Nothing here waits for another beat; all but `give_up` raise kombu's OperationalError if the broker is away.
    """

    def take(self) -> bool:
        """Take it if nobody has it, and say whether it is ours."""

    def keep(self) -> bool:
        """Do what keeps it ours, and say whether it still is; asked about twice a second."""

    def give_up(self) -> None:
        """Let another one have it; never fails."""

    def producer(self) -> Producer:
        """Return what the ticks are to be sent by; it connects to nothing by itself."""

    def runs(self) -> dict[str, Run]:
        """Return the last run of every entry that is known."""

    def save(self, runs: Mapping[str, Run]) -> None:
        """Keep these last runs, and no others."""

    def sending(self, name: str, run: Run) -> AbstractContextManager[None]:
        """Make sure that the lock is ours, let the tick be sent within, and keep it as the entry's last run.

        Raises:
            LockLostError: it is not ours any more.
        """


def encoded(runs: Mapping[str, Run]) -> str:
    """Return last runs as JSON."""
    return msgspec.json.encode(runs).decode()


def decoded(text: str | bytes | None) -> dict[str, Run]:
    """Return last runs from JSON; what cannot be read counts as never run, and runs when it is next due."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Run])
    except msgspec.DecodeError:
        return {}


def lock_of(app: Celery) -> Lock:
    """Return the lock that fits an app's broker.

    With a broker that is none of ours (Amazon's, say) it is a file: one beat per machine.
    """
    from hotplate.tasks.beat.amqp import AmqpLock
    from hotplate.tasks.beat.file import FileLock
    from hotplate.tasks.beat.redis import RedisLock

    said = app.conf.broker_write_url or app.conf.broker_url or ""
    url = (said if isinstance(said, str) else said[0]).split(";")[0]
    broker = brokers.described(url, "broker_url")
    if broker.kind == "redis":
        return RedisLock(app)
    if broker.kind == "amqp":
        return AmqpLock(app)
    main = app.main or "celery"
    return FileLock(app, location(url).path if broker.kind == "embedded" else place.file(os.environ, main))
