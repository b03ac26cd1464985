"""A slot: one place to serve from, or to run tasks, kept filled whatever happens to its workers."""

from __future__ import annotations

import asyncio

from hotplate.supervisor.backoff import Backoff
from hotplate.supervisor.messages import Role
from hotplate.supervisor.words import who
from hotplate.supervisor.workerlink import WorkerLink


class Slot:
    """One slot.

    Args:
        index: its number, which is its listeners' place in the kernel's group; only web slots have any.
        role: what its workers do.
        tasks: how many tasks they run at once.
    """

    def __init__(self, index: int, role: Role = "web", tasks: int = 0) -> None:
        self.index = index
        self.role = role
        self.tasks = tasks
        self.turn = 0  # of the worker that was seated last; see `Fork`
        self.seated = False  # whether anybody ever was
        self.current: WorkerLink | None = None  # who accepts from the slot's listeners
        self.hung = False  # whether a request hung in who serves it: it is being replaced, and better spared
        self.restarts = 0
        self.backoff = Backoff()
        self.wait = 0.0  # seconds until the next attempt to fill it
        self.filling: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """What its workers are called."""
        return who(self.role, self.index)

    def is_warm(self) -> bool:
        """Say whether somebody serves it."""
        return self.current is not None and self.current.is_warm()

    def is_starting(self) -> bool:
        """Say whether nobody has served it yet, and nothing has gone wrong so far."""
        return not self.seated and not self.backoff.deaths

    def next_turn(self) -> int:
        """Return the turn of the next worker: another one while the one before may go on beside it."""
        return self.turn + (self.current is not None)

    def seat(self, worker: WorkerLink) -> WorkerLink | None:
        """Have `worker` serve it; returns who did before."""
        before, self.current, self.hung = self.current, worker, False
        self.turn, self.seated = worker.order.turn, True
        return before

    def vacate(self) -> WorkerLink | None:
        """Return who served it, and have nobody serve it."""
        worker, self.current, self.hung = self.current, None, False
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
