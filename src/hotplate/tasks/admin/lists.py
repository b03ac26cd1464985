"""Looking into Redis, where Kombu has a list per queue and priority: the first to be taken is the last of its list."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec

from hotplate.tasks.admin import parked
from hotplate.tasks.admin.looking import Depth, holds_tasks
from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.embedded.envelope import due
from hotplate.tasks.redis import scripts
from hotplate.tasks.sending import SENT
from hotplate.tasks.untyped import Value
from hotplate.tasks.worker.parking import PARKED

_AT_ONCE = 100  # messages asked for at a time: some of them may be large
_PATIENCE = 0.5  # seconds to look through a Redis that is somebody else's as well, or what workers have
_BINDINGS = "_kombu.binding."  # what Kombu calls its sets of queues, by exchange


class _Payload(msgspec.Struct):
    """A message in a list, as far as it is wanted for looking."""

    headers: dict[str, Any] = {}


class Held(NamedTuple):
    """How many messages workers have, by queue: those whose time has not come, and those that run."""

    delayed: Counter[str]
    taken: Counter[str]


class Lists:
    """A Redis that holds tasks.

    Args:
        connection: Kombu's, open.
    """

    def __init__(self, connection: Value) -> None:
        self._channel = connection.default_channel

    def queues(self, known: Collection[str]) -> list[Depth]:
        """See `Look`."""
        names = {name for name in {*known, *self._bound()} if holds_tasks(name)}
        held = self._held()
        return [self._depth(name, held) for name in sorted(names)]

    def parked(self) -> list[ParkedTask]:
        """See `Look`."""
        return [parked.read(_headers(raw)) for key in self._keys(PARKED) for raw in self._from_the_end(key)]

    @contextmanager
    def walk(self) -> Iterator[Iterator[Entry]]:
        """See `Look`; nothing is taken: what is given back is removed by its own text, wherever it lies."""
        yield self._entries()

    def _entries(self) -> Iterator[Entry]:
        for key in self._keys(PARKED):
            removed: list[bytes] = []
            for raw in self._from_the_end(key, removed):
                message = self._channel.Message(msgspec.json.decode(raw), channel=self._channel)
                yield Entry(parked.read(message.headers), message, partial(self._remove, key, raw, removed))

    def _remove(self, key: str, raw: bytes, removed: list[bytes]) -> None:
        """Take a message out of its list: LREM removes one of its very text, looking from the end."""
        self._say("LREM", key, -1, raw)
        removed.append(raw)

    def _from_the_end(self, key: str, removed: Collection[bytes] = ()) -> Iterator[bytes]:
        """Yield what is in a list, the last first; what was removed meanwhile has let the rest move up.

        New messages come in at the other end, and so do not get between.
        """
        seen = 0
        while True:
            passed = seen - len(removed)
            found = self._say("LRANGE", key, -(passed + _AT_ONCE), -(passed + 1))
            for raw in reversed(found):
                seen += 1
                yield raw
            if len(found) < _AT_ONCE:
                return

    def _depth(self, queue: str, held: Held | None) -> Depth:
        keys = self._keys(queue)
        first = [raw for key in keys if (raw := self._say("LINDEX", key, -1))]
        ages = [age for raw in first if (age := _age(_headers(raw))) is not None]
        return Depth(
            queue,
            depth=sum(int(self._say("LLEN", key)) for key in keys),
            delayed=None if held is None else held.delayed[queue],
            taken=None if held is None else held.taken[queue],
            oldest=max(ages, default=None),
        )

    def _held(self) -> Held | None:
        """Return what workers have, tasks whose time has not come among it; None where that is too much to read."""
        held, until = Held(Counter(), Counter()), time.monotonic() + _PATIENCE
        owners = [f"{scripts.TAKEN}{_text(name)}" for name in self._say("HKEYS", self._key(scripts.OWNERS))]
        for key in [*owners, self._channel.unacked_key]:
            cursor = 0
            while True:
                cursor, found = self._say("HSCAN", self._key(key), cursor, "COUNT", _AT_ONCE)
                for entry in found.values():
                    self._count(entry, held)
                if not int(cursor):
                    break
                if time.monotonic() > until:
                    return None
        return held

    def _count(self, entry: bytes, held: Held) -> None:
        """Count a message that a worker has: of our transport, or of Kombu's own."""
        if entry[:1] == b"[":
            told = msgspec.json.decode(entry)
            queue, headers = str(told[2]), told[0].get("headers") or {}
        else:
            key, _, raw = entry.split(b"\n", 2)
            plain, _, priority = _text(key).removeprefix(self._channel.global_keyprefix).rpartition(self._channel.sep)
            queue, headers = plain or priority, _headers(raw)
        (held.delayed if (due({"headers": headers}) or 0) > time.time() else held.taken)[queue] += 1

    def _key(self, name: str) -> str:
        return f"{self._channel.global_keyprefix}{name}"

    def _keys(self, queue: str) -> list[str]:
        """Return the keys of a queue's lists, in the order in which workers look into them."""
        steps = self._channel.priority_steps
        return [self._key(self._channel._q_for_pri(queue, step)) for step in steps]  # noqa: SLF001  Kombu's name for them

    def _bound(self) -> set[str]:
        """Return the queues that were ever declared, as far as they are found soon."""
        found: set[str] = set()
        cursor, until = 0, time.monotonic() + _PATIENCE
        while True:
            cursor, keys = self._say("SCAN", cursor, "MATCH", f"{self._key(_BINDINGS)}*", "COUNT", 1000)
            for key in keys:
                exchange = _text(key).removeprefix(self._key(_BINDINGS))
                found |= {str(row[-1]) for row in self._channel.get_table(exchange)}
            if not int(cursor) or time.monotonic() > until:
                return found

    def _say(self, *said: str | int | bytes) -> Value:
        """Say something to Redis, keys with their prefix already."""
        with self._channel.conn_or_acquire() as client:
            return scripts.say(client, *said)


def _headers(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=_Payload).headers
    except msgspec.MsgspecError:
        return {}


def _age(headers: dict[str, Any]) -> float | None:
    sent = headers.get(SENT)
    return max(0.0, time.time() - sent) if isinstance(sent, int | float) else None


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key
