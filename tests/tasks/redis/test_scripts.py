"""Whatever owners do, and in whatever order: a message that was put is in one place until it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hotplate.tasks.redis import scripts

pytestmark = pytest.mark.redis

LISTS = ("q9", "q")
_runs = count()
kinds = [
    "put",
    "put",
    "put",
    "woken",
    "woken",
    "take",
    "take again",
    "ack",
    "reject",
    "give",
    "beat",
    "release",
    "expire",
]
events_of_a_run = some.lists(
    some.tuples(some.sampled_from(kinds), some.sampled_from(["one", "other"]), some.integers(0, 3)),
    min_size=15,
    max_size=40,
)


class Model:
    """Redis, and what should be in it.

    Args:
        client: for the real one.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.prefix = f"run{next(_runs)}:"
        self.put: set[int] = set()
        self.taken: dict[str, dict[str, int]] = {"one": {}, "other": {}}
        self.beats: dict[str, int] = {}
        self.numbers = count()
        self.last = {"one": "", "other": ""}

    def key(self, name: str) -> str:
        """Return a key of this run's own."""
        return self.prefix + name

    def step(self, what: str, owner: str, which: int) -> None:
        """Do something, here and there."""
        tags = sorted(self.taken[owner])
        tag = tags[which % len(tags)] if tags else "none"
        taken = self.key(scripts.TAKEN + owner)
        match what:
            case "put":
                self._put(self.key(LISTS[which % 2]))
            case "take" | "woken":
                if what == "take" or scripts.say(self.client, "RPOP", self.key("wake")):
                    self._take(owner, f"{next(self.numbers):09d}")
            case "take again":
                self._take(owner, self.last[owner] or "first")
            case "ack":
                scripts.say(self.client, "HDEL", taken, tag)
                self.put.discard(self.taken[owner].pop(tag, -1))
            case "reject" | "give":
                scripts.run(self.client, scripts.GIVE, [taken], ["LPUSH" if what == "reject" else "RPUSH", tag, "no"])
                self.taken[owner].pop(tag, None)
            case "beat":
                scripts.run(self.client, scripts.BEAT, [self.key(scripts.OWNERS)], [owner])
                self.beats[owner] = self.beats.get(owner, 0) + 1
            case _:
                self._release(owner, self.beats.get(owner, 0) - which % 2 if what == "expire" else "")

    def _put(self, into: str) -> None:
        number = next(self.numbers)
        self.put.add(number)
        scripts.run(self.client, scripts.PUT, [into, self.key("wake")], [f'{{"n": {number}}}', 0])

    def _release(self, owner: str, said: int | str) -> None:
        keys = [self.key(scripts.OWNERS), self.key(scripts.TAKEN + owner)]
        scripts.run(self.client, scripts.RELEASE, keys, [owner, said])
        if said == "" or (owner in self.beats and said == self.beats[owner]):
            self.taken[owner].clear()
            self.beats.pop(owner, None)

    def _take(self, owner: str, tag: str) -> None:
        keys = [self.key(name) for name in (scripts.OWNERS, scripts.TAKEN + owner, "wake", *LISTS)]
        answer = scripts.run(self.client, scripts.TAKE, keys, [owner, tag, 1, 1])
        self.last[owner] = tag
        if answer:
            self.taken[owner][tag] = number(answer[1])
            self.beats.setdefault(owner, 0)

    def check(self) -> None:
        """Compare."""
        waiting = [number(raw) for name in LISTS for raw in self._list(name)]
        taken = {
            owner: {tag.decode(): number(entry.split(b"\n", 2)[2]) for tag, entry in self._hash(owner).items()}
            for owner in self.taken
        }
        assert taken == self.taken
        assert sorted(waiting + [each for held in taken.values() for each in held.values()]) == sorted(self.put)
        assert not waiting or self.client.llen(self.key("wake")) == 1
        owners = {name.decode(): int(beat) for name, beat in self._hash_of(self.key(scripts.OWNERS)).items()}
        assert owners == self.beats
        assert all(owner in owners for owner, held in taken.items() if held)

    def _list(self, name: str) -> Iterator[bytes]:
        yield from scripts.say(self.client, "LRANGE", self.key(name), 0, -1)

    def _hash(self, owner: str) -> dict[bytes, bytes]:
        return self._hash_of(self.key(scripts.TAKEN + owner))

    def _hash_of(self, key: str) -> dict[bytes, bytes]:
        told: dict[bytes, bytes] = scripts.say(self.client, "HGETALL", key)
        return told


def number(raw: bytes) -> int:
    """Return the number in a message, whether it was given back or not."""
    return int(raw.rpartition(b'"n": ')[2].removesuffix(b"}"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events_of_a_run)
def test_no_order_of_events_loses_a_message_or_makes_two_of_it(
    client: redis.Redis, events: list[tuple[str, str, int]]
) -> None:
    """After each step every message that was put is in one list or with one owner, who is known; nobody waits in vain.

    A wake list that is empty although messages wait would be a worker that sleeps beside work.
    """
    model = Model(client)
    for event in events:
        model.step(*event)
        model.check()
