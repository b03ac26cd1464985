"""One thing to be done in Redis, and what is owed to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from hotplate.cache.stores.redis_scripts import Script
from hotplate.cache.stores.redis_wire import pack

LOST = object()  # in place of a reply: there is none, and the operation may or may not have been done
Done = Callable[[object], None]

_log = logging.getLogger("hotplate.cache")
_MOST_OWED = 4096  # slots; beyond, everything is invalidated instead


class Operation:
    """What is to be done, and who is to hear of it.

    Args:
        command: as `Script.call` or a plain command.
        done: hears the reply, or `LOST`, exactly once, in the link's thread or in the caller's; must not block.
        script: which `command` runs, None for a plain command.
        is_urgent: whether `done` is to hear within the budget, come what may.
    """

    __slots__ = ("command", "deadline", "done", "is_urgent", "moved", "request", "script", "sent", "tries")

    def __init__(
        self,
        command: tuple[bytes, ...],
        done: Done | None = None,
        script: Script | None = None,
        *,
        is_urgent: bool = False,
    ) -> None:
        self.command = command
        self.done = done
        self.script = script
        self.is_urgent = is_urgent
        self.request = pack(command)
        self.deadline = 0.0
        self.sent = 0.0
        self.moved = 0
        self.tries = 0

    def settle(self, reply: object) -> None:
        """Tell whoever is to hear, if they have not heard yet."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(reply)
            except Exception:  # noqa: BLE001  # a caller's bug must not end the thread that all others wait for
                _log.exception("what was to be done with an answer of Redis failed")


class Debt:
    """Invalidations that Redis could not be told of, to be made up for before anything is taken from it again."""

    def __init__(self) -> None:
        self.slots: set[int] = set()
        self.is_everything = False

    def add(self, slots: Collection[int] | None) -> None:
        """Owe an invalidation of `slots`; None for everything."""
        if slots is None or len(self.slots) + len(slots) > _MOST_OWED:
            self.is_everything = True
        else:
            self.slots.update(slots)

    def __bool__(self) -> bool:
        return self.is_everything or bool(self.slots)
