"""One line when something changes its state, however often it is found in that state."""

from __future__ import annotations

import logging
from threading import Lock


class StateLog:
    """Remembers the last state that was told, and tells only what differs from it.

    Args:
        log: gets the lines.
        state: that needs no telling, as everybody expects it.

    Example:
        >>> states = StateLog(logging.getLogger("example"), "up")
        >>> states.say("up", logging.INFO, "all is well")
        False
        >>> states.say("down", logging.DEBUG, "gone")
        True
    """

    def __init__(self, log: logging.Logger, state: str) -> None:
        self._log = log
        self._state = state
        self._saying = Lock()

    @property
    def state(self) -> str:
        """What was told last."""
        return self._state

    def say(self, state: str, level: int, line: str) -> bool:
        """Write `line` if this is another state than the last; returns whether it is."""
        with self._saying:
            if state == self._state:
                return False
            self._state = state
        self._log.log(level, "%s", line)
        return True
