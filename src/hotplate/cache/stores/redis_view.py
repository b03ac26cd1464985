"""What a process knows of the clock in Redis without asking: enough to say of an answer in memory whether it is valid.

It knows of every invalidation since its `floor`, and of those slots that it has learned of from a look. Of any other
slot it does not know when it was invalidated last, so what is older than the floor and depends on it is not valid in
memory; the next look into Redis decides, and teaches.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from threading import Lock

from hotplate.cache.stores.base import Token


class _Knowledge:
    """Of one epoch, from one connection on."""

    __slots__ = ("epoch", "floor", "known", "newest", "until")

    def __init__(self, epoch: int, seq: int) -> None:
        self.epoch = epoch
        self.floor = seq
        self.newest = seq
        self.known: dict[int, int] = {}
        self.until = 0.0


_NOTHING = _Knowledge(-1, 0)


class View:
    """Read by any thread at any time; changed by the mirror, by looks, and by invalidations of our own.

    Example:
        >>> view = View()
        >>> view.begin(5, 10, view.forget())
        True
        >>> view.trust(time.monotonic() + 60)
        >>> view.now(), view.valid(Token(5, 10), (1,))
        (Token(epoch=5, seq=10), True)
        >>> view.hear(5, 11, (1,))
        True
        >>> view.valid(Token(5, 10), (1,)), view.valid(Token(5, 10), (2,))
        (False, True)
    """

    def __init__(self) -> None:
        self._shown = _NOTHING  # what readers see
        self._kept = _NOTHING  # what is known, believed or not
        self._doubts = 0
        self._generation = 0
        self._changing = Lock()

    def valid(self, token: Token, slots: Sequence[int]) -> bool:
        """Whether it is known that nothing of `slots` was invalidated since `token`."""
        shown = self._shown
        epoch, seq = token
        if epoch != shown.epoch or time.monotonic() >= shown.until:
            return False
        if seq >= shown.newest:
            return True
        known, floor = shown.known, shown.floor
        for slot in slots:
            last = known.get(slot)
            if last is None:
                if seq < floor:
                    return False
            elif last > seq:
                return False
        return True

    def now(self) -> Token | None:
        """Return the clock as far as it is known; what is computed from now on may be put with it."""
        shown = self._shown
        return Token(shown.epoch, shown.newest) if time.monotonic() < shown.until else None

    def epoch(self) -> int:
        """Return the epoch that is known, -1 for none."""
        return self._kept.epoch

    def begin(self, epoch: int, seq: int, generation: int) -> bool:
        """Know every invalidation from `seq` on; believed only once `trust` says how long.

        Args:
            epoch: of the clock as it was asked for.
            seq: of the clock as it was asked for.
            generation: what `forget` returned before the clock was asked for; refused where there was a later one.
        """
        with self._changing:
            if generation != self._generation:
                return False
            self._kept = _Knowledge(epoch, seq)
            self._show()
            return True

    def renew(self, epoch: int, seq: int) -> bool:
        """Take in that a new epoch has begun, unless that is known or outdated; False where nothing was known."""
        with self._changing:
            kept = self._kept
            if kept is _NOTHING:
                return False
            if epoch != kept.epoch and seq > kept.newest:
                self._kept = _Knowledge(epoch, seq)
                self._kept.until = kept.until
                self._show()
            return True

    def trust(self, until: float) -> None:
        """Believe what is known until then, in seconds of time.monotonic()."""
        with self._changing:
            if self._kept is not _NOTHING:
                self._kept.until = until
                self._show()

    def forget(self) -> int:
        """Know nothing; returns what `begin` is to be given."""
        with self._changing:
            self._kept = self._shown = _NOTHING
            self._generation += 1
            return self._generation

    def doubt(self) -> None:
        """Believe nothing, until `assure` was called as often."""
        with self._changing:
            self._doubts += 1
            self._show()

    def assure(self) -> None:
        """Take back one `doubt`."""
        with self._changing:
            self._doubts -= 1
            self._show()

    def hear(self, epoch: int, seq: int, slots: Iterable[int] | None) -> bool:
        """Take in an invalidation; None for slots that were not named. False where it is of another epoch than ours."""
        with self._changing:
            kept = self._kept
            if kept.epoch != epoch:
                return False
            if slots is None:
                successor = _Knowledge(epoch, max(seq, kept.newest))
                successor.until = kept.until
                self._kept = successor
                self._show()
                return True
            for slot in slots:
                # Of a slot that is not known, what is told late from before the floor may not be the last.
                if kept.known.get(slot, kept.floor) < seq:
                    kept.known[slot] = seq
            # Last: whoever has the new number must not be shown what the slots have just made invalid.
            kept.newest = max(kept.newest, seq)
            return True

    def change(self, epoch: int, seq: int, slots: Collection[int] | None) -> None:
        """Take in an invalidation of our own; None for a new epoch. Know nothing where it does not fit."""
        if not (self.renew(epoch, seq) if slots is None else self.hear(epoch, seq, slots)):
            # The clock may just have been asked for, without this: the answer must not be taken.
            self.forget()

    def learn(self, epoch: int, seq: int, slots: Sequence[int], last: Sequence[int]) -> None:
        """Take in what a look found out: when `slots` were invalidated last, as of `seq`."""
        with self._changing:
            kept = self._kept
            if kept.epoch != epoch or seq < kept.floor:
                return
            for slot, number in zip(slots, last, strict=False):
                if kept.known.get(slot, -1) < number:
                    kept.known[slot] = number

    def _show(self) -> None:
        self._shown = _NOTHING if self._doubts else self._kept
