"""A thread that says of a process that it lives, while that is too busy to say so itself.

Owners count in the loop that receives messages (`transport.Transport.look`). That loop stands still while a task runs
in it, as with Celery's solo pool, and while a pool of threads is waited for before the worker ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from kombu.log import get_logger

_log = get_logger("hotplate.tasks.redis")
_thread: threading.Thread | None = None


class Beats(Protocol):
    """Who may have to say that it lives."""

    def beat(self) -> None:
        """Say so, if nobody else has for a while."""


def keep(members: Callable[[], Iterable[Beats]], pause: Callable[[], float]) -> None:
    """Have all members beat from now on, for as long as there are any; one thread does for a process.

    Args:
        members: returns those there are now.
        pause: returns the seconds between two rounds.
    """
    global _thread  # noqa: PLW0603  one for each process; a forked one has none, and makes its own
    if _thread is not None and _thread.is_alive():
        return
    _thread = threading.Thread(target=_beat, args=(members, pause), name="hotplate-redis-pulse", daemon=True)
    _thread.start()


def _beat(members: Callable[[], Iterable[Beats]], pause: Callable[[], float]) -> None:
    while there := list(members()):
        for member in there:
            try:
                member.beat()
            except Exception as problem:  # noqa: BLE001  a Redis that is away has many ways to say so, and may come back
                _log.debug("cannot say that this process lives: %r", problem)
        del member, there  # or a connection that is forgotten would live on here
        time.sleep(pause())
