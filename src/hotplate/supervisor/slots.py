"""A slot: one place to serve from, with its listeners, kept filled whatever happens to its workers."""

from __future__ import annotations

import asyncio

from hotplate.supervisor.backoff import Backoff
from hotplate.supervisor.workerlink import WorkerLink


class Slot:
    """One slot.

    Args:
        index: its number, which is its listeners' place in the kernel's group.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.current: WorkerLink | None = None  # who accepts from the slot's listeners
        self.restarts = 0
        self.backoff = Backoff()
        self.wait = 0.0  # seconds until the next attempt to fill it
        self.filling: asyncio.Task[None] | None = None

    def is_warm(self) -> bool:
        """Say whether somebody serves it."""
        return self.current is not None and self.current.is_warm()

    def vacate(self) -> WorkerLink | None:
        """Return who served it, and have nobody serve it."""
        worker, self.current = self.current, None
        return worker

    def died(self, lived: float, *, served: bool) -> None:
        """Take note that its worker died of itself; see `Backoff.died`."""
        self.wait = self.backoff.died(lived, served=served)

    def refused(self) -> float:
        """Take note that a replacement did not get ready; returns the seconds to wait."""
        self.wait = max(self.wait, self.backoff.died(0.0, served=False))
        return self.wait

    def stop_filling(self) -> None:
        """Give up a replacement that is under way."""
        if self.filling:
            self.filling.cancel()
            self.filling = None
