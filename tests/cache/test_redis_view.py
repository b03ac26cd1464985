"""What a process believes without asking is never older than what it has acknowledged."""

from __future__ import annotations

import random
import time
from typing import NamedTuple

import pytest

from hotplate.cache.stores.base import Token
from hotplate.cache.stores.redis_view import View

EPOCH, SLOTS = 5, 6


class _Reply(NamedTuple):
    seq: int
    slots: tuple[int, ...]
    last: tuple[int, ...]


class _World:
    """Redis, the connections to it, and one view; everything arrives as late as chance will have it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.seq = 100
        self.bumps: list[tuple[int, tuple[int, ...]]] = []
        self.told: list[tuple[int, tuple[int, ...] | None]] = []
        self.replies: list[_Reply] = []
        self.joins: list[tuple[int, int]] = []
        self.acknowledged = 0
        self.own: list[tuple[int, tuple[int, ...]]] = []
        self.view = View()

    def some(self) -> tuple[int, ...]:
        return tuple(self.rng.sample(range(SLOTS), self.rng.randint(1, 2)))

    def last(self, slot: int) -> int:
        return max((seq for seq, slots in self.bumps if slot in slots), default=0)

    def bump(self) -> None:
        self.seq += 1
        slots = self.some()
        self.bumps.append((self.seq, slots))
        self.told.append((self.seq, slots if self.rng.random() < 0.8 else None))

    def bump_here(self) -> None:
        self.bump()
        seq, slots = self.bumps[-1]
        self.own.append((seq, slots))
        self.view.change(EPOCH, seq, slots)

    def hear(self) -> None:
        # What is told after the clock was asked for comes after the answer.
        if self.told and not self.joins:
            seq, slots = self.told.pop(0)
            if self.view.hear(EPOCH, seq, slots):
                self.acknowledged = max(self.acknowledged, seq)

    def look(self) -> None:
        slots = self.some()
        self.replies.append(_Reply(self.seq, slots, tuple(map(self.last, slots))))

    def learn(self) -> None:
        if self.replies:
            reply = self.replies.pop(self.rng.randrange(len(self.replies)))
            self.view.learn(EPOCH, *reply)

    def ask(self) -> None:
        # What is told before the clock was asked for comes before the answer, and is part of it.
        self.joins = [(self.seq, self.view.forget())]
        self.told.clear()

    def join(self) -> None:
        if self.joins:
            seq, generation = self.joins.pop()
            if self.view.begin(EPOCH, seq, generation):
                self.view.trust(time.monotonic() + 600)
                self.acknowledged = max(self.acknowledged, seq)

    def forget(self) -> None:
        self.view.forget()

    def check(self) -> None:
        heard = [(seq, slots) for seq, slots in self.bumps if seq <= self.acknowledged] + self.own
        for _ in range(4):
            token, slots = self.rng.randint(95, self.seq), self.some()
            is_old = any(seq > token for seq, bumped in heard if set(bumped) & set(slots))
            is_valid = self.view.valid(Token(EPOCH, token), slots)
            assert not (is_valid and is_old), (token, slots)


@pytest.mark.parametrize("seed", range(200))
def test_nothing_that_was_acknowledged_to_be_old_is_believed(seed: int) -> None:
    """In any order of bumps, tellings, looks, and new beginnings, late replies included."""
    world = _World(random.Random(seed))
    world.ask()
    world.join()
    steps = [world.bump, world.bump, world.bump_here, world.hear, world.hear, world.look, world.learn, world.learn]
    for _ in range(120):
        chance = world.rng.random()
        world.rng.choice(steps if chance < 0.93 else [world.ask, world.join, world.join, world.forget])()
        world.check()


def begun(seq: int) -> View:
    """Return a view that knows the clock from `seq` on."""
    view = View()
    assert view.begin(EPOCH, seq, view.forget())
    view.trust(time.monotonic() + 600)
    return view


def test_what_is_newer_than_the_beginning_is_believed() -> None:
    """An answer begun since, of which no slot was invalidated, is valid."""
    view = begun(10)
    assert view.now() == Token(EPOCH, 10)
    assert view.hear(EPOCH, 11, (1,))
    assert view.valid(Token(EPOCH, 10), (2,))
    assert view.valid(Token(EPOCH, 11), (1,))
    assert not view.valid(Token(EPOCH, 10), (1, 2))
    assert not view.valid(Token(EPOCH + 1, 12), ())


def test_what_is_older_than_the_beginning_is_believed_once_a_look_has_taught_it() -> None:
    """Of slots that nothing is known of nothing old is believed, until Redis has said when they were invalidated."""
    view = begun(10)
    assert not view.valid(Token(EPOCH, 5), (1,))
    view.learn(EPOCH, 10, (1,), (4,))
    assert view.valid(Token(EPOCH, 5), (1,))
    assert not view.valid(Token(EPOCH, 3), (1,))
    assert not view.valid(Token(EPOCH, 5), (1, 2))
    assert view.valid(Token(EPOCH, 5), ())


def test_a_look_of_before_the_beginning_teaches_nothing() -> None:
    """What it says may have been overtaken by something that was not told."""
    view = begun(10)
    view.learn(EPOCH, 9, (1,), (0,))
    view.learn(EPOCH + 1, 12, (1,), (0,))
    assert not view.valid(Token(EPOCH, 5), (1,))


def test_invalidations_too_many_to_name_end_all_that_is_older() -> None:
    """After one, only what is newer or learned anew is believed."""
    view = begun(10)
    view.learn(EPOCH, 10, (1,), (4,))
    assert view.hear(EPOCH, 11, None)
    assert not view.valid(Token(EPOCH, 10), (1,))
    assert view.valid(Token(EPOCH, 11), (1,))


def test_a_new_epoch_ends_everything_and_is_known_at_once() -> None:
    """It takes the place of the old one, unless it is the older of the two."""
    view = begun(10)
    view.renew(EPOCH + 1, 11)
    assert view.now() == Token(EPOCH + 1, 11)
    assert not view.valid(Token(EPOCH, 10), ())
    view.renew(EPOCH, 10)
    assert view.now() == Token(EPOCH + 1, 11)
    assert not view.hear(EPOCH, 12, (1,))


def test_nothing_is_believed_in_doubt_or_too_late() -> None:
    """A doubt hides what is known until it is taken back; what is known is believed for as long as was said."""
    view = begun(10)
    view.doubt()
    view.doubt()
    assert view.hear(EPOCH, 11, (1,))
    view.assure()
    assert view.now() is None
    assert not view.valid(Token(EPOCH, 11), ())
    view.assure()
    assert view.now() == Token(EPOCH, 11)
    view.trust(time.monotonic())
    assert view.now() is None
    assert not view.valid(Token(EPOCH, 11), ())


def test_an_answer_to_what_was_asked_before_is_refused() -> None:
    """A clock that was asked for before everything was forgotten may lack what was missed since."""
    view = View()
    generation = view.forget()
    later = view.forget()
    assert not view.begin(EPOCH, 10, generation)
    assert view.begin(EPOCH, 10, later)
    view.renew(EPOCH + 1, 11)
    view.forget()
    view.renew(EPOCH + 2, 12)
    view.trust(time.monotonic() + 600)
    assert view.now() is None
