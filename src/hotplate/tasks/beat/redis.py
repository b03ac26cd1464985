"""The beat's lock in Redis: a key that its holder renews, and that is gone ten seconds after its holder.

Every step is one script, so nothing comes between a look at the key and what follows from it. Ticks are recorded in
the same way, with the key looked at again: a beat that slept, and wakes when another one has its place, finds that out
right before it sends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from celery.app.base import Celery
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.connecting import Producer, connected, library_errors, producer
from hotplate.tasks.beat.lock import LockLostError, Run, decoded, encoded

LEASE = 10.0
"""Seconds until another beat takes over from one that was killed or cut off."""
_RENEWAL = 2.0

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_KEEP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_GIVE_UP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
_SAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] == 'all' then redis.call('DEL', KEYS[2]) end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
"""


class RedisLock:
    """The beats of all machines that share a Redis.

    Args:
        app: whose schedule it is; several apps on one Redis have a lock each, by their names.
    """

    def __init__(self, app: Celery) -> None:
        self._name = f"hotplate.beat.{app.main or 'celery'}"
        self._token = uuid4().hex
        self._connection = app.connection_for_write()
        self._renewed = 0.0

    def take(self) -> bool:
        """See `Lock`."""
        return self._renewal(_TAKE)

    def keep(self) -> bool:
        """See `Lock`."""
        if time.monotonic() - self._renewed < _RENEWAL:
            return True
        return self._renewal(_KEEP)

    def give_up(self) -> None:
        """See `Lock`."""
        self._renewed = 0.0
        with suppress(OperationalError):
            self._run(_GIVE_UP)
        self._connection.release()

    def producer(self) -> Producer:
        """See `Lock`."""
        return producer(connected(self._connection).default_channel)

    def runs(self) -> dict[str, Run]:
        """See `Lock`."""
        found = self._run("return redis.call('HGETALL', KEYS[2])")
        names, texts = found[::2], found[1::2]
        return {
            _text(name): run
            for name, text in zip(names, texts, strict=True)
            for run in decoded(f'{{"run": {_text(text)}}}').values()
        }

    def save(self, runs: Mapping[str, Run]) -> None:
        """See `Lock`."""
        self._save("all", runs)

    @contextmanager
    def sending(self, name: str, run: Run) -> Iterator[None]:
        """See `Lock`."""
        if not self._renewal(_KEEP):
            raise LockLostError
        yield
        self._save("one", {name: run})

    def _save(self, how: str, runs: Mapping[str, Run]) -> None:
        pairs = [part for name, run in runs.items() for part in (name, _one(run))]
        if not self._run(_SAVE, how, *pairs):
            raise LockLostError

    def _renewal(self, script: str) -> bool:
        asked = time.monotonic()
        if not self._run(script):
            self._renewed = 0.0
            return False
        self._renewed = asked
        return True

    def _run(self, script: str, *values: str) -> Any:  # noqa: ANN401 - each script answers otherwise
        with library_errors(connected(self._connection)):
            channel = self._connection.default_channel
            # Scripts' keys are not among those that kombu's client puts the transport's prefix before.
            prefix = channel.global_keyprefix
            keys = (f"{prefix}{self._name}", f"{prefix}{self._name}.runs")
            return channel.client.eval(script, 2, *keys, self._token, str(int(LEASE * 1000)), *values)


def _one(run: Run) -> str:
    return encoded({"run": run}).removeprefix('{"run":').removesuffix("}")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
