"""Looking into Redis, where Kombu has a list per queue and priority: the first to be taken is the last of its list."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec

from hotplate.tasks.admin import parked
from hotplate.tasks.admin.looking import Depth
from hotplate.tasks.admin.parked import Entry
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.worker.parking import PARKED

_AT_ONCE = 100  # messages asked for at a time: some of them may be large
_PATIENCE = 0.3  # seconds to look for queues in a Redis that is somebody else's as well
_BINDINGS = "_kombu.binding."  # what Kombu calls its sets of queues, by exchange
_NO_TASKS = (".pidbox", "celeryev", PARKED)


class _Payload(msgspec.Struct):
    """A message in a list, as far as it is wanted for looking."""

    headers: dict[str, Any] = {}


class Lists:
    """A Redis that holds tasks.

    Args:
        connection: Kombu's, open.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  kombu has no types
        self._channel = connection.default_channel

    def queues(self, known: Collection[str]) -> list[Depth]:
        """See `Look`."""
        with self._channel.conn_or_acquire() as client:
            names = {*known, *self._bound(client)}
            return [self._depth(client, name) for name in sorted(names) if not _is_ours(name)]

    def parked(self) -> list[ParkedTask]:
        """See `Look`."""
        with self._channel.conn_or_acquire() as client:
            return [parked.read(_headers(raw)) for key in self._keys(PARKED) for raw in _from_the_end(client, key)]

    @contextmanager
    def walk(self) -> Iterator[Iterator[Entry]]:
        """See `Look`; nothing is taken: what is given back is removed by its own text, wherever it lies."""
        with self._channel.conn_or_acquire() as client:
            yield self._entries(client)

    def _entries(self, client: Any) -> Iterator[Entry]:  # noqa: ANN401  redis-py's client, of whatever class Kombu wants
        for key in self._keys(PARKED):
            removed: list[bytes] = []
            for raw in _from_the_end(client, key, removed):
                message = self._channel.Message(msgspec.json.decode(raw), channel=self._channel)
                yield Entry(parked.read(message.headers), message, partial(_remove, client, key, raw, removed))

    def _depth(self, client: Any, queue: str) -> Depth:  # noqa: ANN401  see above
        keys = self._keys(queue)
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.llen(key)
                pipe.lindex(key, -1)
            told = pipe.execute()
        ages = [age for raw in told[1::2] if raw and (age := _age(_headers(raw))) is not None]
        return Depth(queue, depth=sum(map(int, told[::2])), oldest=max(ages, default=None))

    def _keys(self, queue: str) -> list[str]:
        """Return the keys of a queue's lists, in the order in which workers look into them."""
        return [self._channel._q_for_pri(queue, priority) for priority in self._channel.priority_steps]  # noqa: SLF001  Kombu's own name for them

    def _bound(self, client: Any) -> set[str]:  # noqa: ANN401  see above
        """Return the queues that were ever declared, as far as they are found soon."""
        found: set[str] = set()
        cursor, until = 0, time.monotonic() + _PATIENCE
        while True:
            cursor, keys = client.scan(cursor, match=f"{self._channel.global_keyprefix}{_BINDINGS}*", count=1000)
            for key in keys:
                exchange = _text(key).removeprefix(self._channel.global_keyprefix).removeprefix(_BINDINGS)
                found |= {str(row[-1]) for row in self._channel.get_table(exchange)}
            if not cursor or time.monotonic() > until:
                return found


def _remove(client: Any, key: str, raw: bytes, removed: list[bytes]) -> None:  # noqa: ANN401  see above
    """Take a message out of its list: LREM removes one of its very text, looking from the end."""
    client.lrem(key, -1, raw)
    removed.append(raw)


def _from_the_end(client: Any, key: str, removed: Collection[bytes] = ()) -> Iterator[bytes]:  # noqa: ANN401  see above
    """Yield what is in a list, the last first; what was removed meanwhile has let the rest move up.

    New messages come in at the other end, and so do not get between.
    """
    seen = 0
    while True:
        passed = seen - len(removed)
        found = client.lrange(key, -(passed + _AT_ONCE), -(passed + 1))
        for raw in reversed(found):
            seen += 1
            yield raw
        if len(found) < _AT_ONCE:
            return


def _headers(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=_Payload).headers
    except msgspec.MsgspecError:
        return {}


def _age(headers: dict[str, Any]) -> float | None:
    sent = headers.get("hotplate-sent")
    return max(0.0, time.time() - sent) if isinstance(sent, int | float) else None


def _is_ours(queue: str) -> bool:
    return any(mark in queue for mark in _NO_TASKS)


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key
