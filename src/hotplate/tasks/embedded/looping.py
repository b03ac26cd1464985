"""A connection's part in kombu's event loop, which Celery's prefork, threads and solo pools run in.

A turn is taken at the loop's tick: acknowledgements that came in since the last one and the taking of new messages
share a transaction. What was taken is handed over from the callback of the waking socket, so that the loop's other
parts see its effects before the loop sleeps.
"""

# ruff: noqa: ANN401  # kombu's loop has no types
from __future__ import annotations

import threading
import time
from typing import Any

from hotplate.tasks.embedded.turns import LOOK_EVERY, Turns
from hotplate.tasks.embedded.waiting import Waiting

_HAND_OVER_FOR = 0.01  # seconds: then acknowledgements get their turn (a solo pool works inside the hand-over)


class Looping:
    """What is registered with the loop for one connection."""

    def __init__(self, loop: Any, turns: Turns) -> None:
        self._loop = loop
        self._turns = turns
        self._desk = turns.desk
        self._waiting: Waiting | None = None
        self._alarm: Any = None
        self._thread = threading.get_ident()
        self._closed = False
        loop.on_tick.add(self._on_tick)
        loop.on_close.add(self._on_close)
        self._timer = loop.call_repeatedly(LOOK_EVERY, self._on_timer)

    @property
    def ticks(self) -> bool:
        """Whether a tick will come by itself: not in another thread, and not any more once the loop is closed."""
        # Celery's prefork pool acknowledges from a thread of its own while it stops.
        return not self._closed and self._thread == threading.get_ident()

    def wait_with(self, waiting: Waiting) -> None:
        """Have the loop woken by a socket."""
        self._waiting = waiting
        self._loop.add_reader(waiting.fileno(), self._on_wake)

    def leave(self) -> None:
        """Take part no more."""
        self._loop.on_tick.discard(self._on_tick)
        self._loop.on_close.discard(self._on_close)
        for entry in filter(None, (self._timer, self._alarm)):
            entry.cancel()
        if self._waiting is not None:
            self._loop.remove_reader(self._waiting.fileno())

    def _on_tick(self) -> None:
        if self._turns.trouble or not (self._desk.unsettled or (self._desk.look and self._turns.has_room())):
            return
        self._turns.take(batches=True)
        self._poke()
        self._set_alarm()

    def _on_wake(self) -> None:
        if self._waiting is not None and self._waiting.clear():
            self._desk.look = True
        until = time.monotonic() + _HAND_OVER_FOR
        try:
            while self._desk.arrived and time.monotonic() < until:
                self._desk.hand_over_one()
        finally:
            self._poke()

    def _poke(self) -> None:
        if self._desk.arrived and self._waiting is not None:
            self._waiting.poke()

    def _on_timer(self) -> None:
        self._turns.look_around()
        if self._turns.trouble:
            self._turns.take(batches=True)
            self._poke()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._turns.seconds_to_due()
        if due is not None and due < LOOK_EVERY:
            self._alarm = self._loop.call_later(due, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self._desk.look = True

    def _on_close(self, _loop: object) -> None:
        self._closed = True
        self._turns.settle()
