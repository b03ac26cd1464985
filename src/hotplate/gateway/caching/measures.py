"""Tallies what cannot be a counter, and writes it where the command line reads it, every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from hotplate.cache import measured
from hotplate.cache.measured import Suggestion

_EVERY = 2.0  # seconds between two writings
_IDLE = 30  # writings without anything new after which the thread ends


def _no_routes() -> Iterable[Suggestion]:
    return ()


class Measures:
    """What one worker has measured; any thread may tell it something.

    Args:
        folder: where the processes of this machine meet; "" writes nothing.

    Attributes:
        reasons: how many responses were not kept, by the reason's code.
        routes: gives what is known of routes, when it is written.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._more = threading.Event()
        self._is_new = self._runs = False
        self.reasons: dict[str, int] = {}
        self.routes: Callable[[], Iterable[Suggestion]] = _no_routes

    def refused(self, reason: str) -> None:
        """Note that a response was not kept."""
        with self._changing:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.changed()

    def changed(self) -> None:
        """Note that there is something to write."""
        self._is_new = True
        if self._runs or not self._folder:
            return
        with self._changing:
            if self._runs:
                return
            self._runs = True
        threading.Thread(target=self._run, name="hotplate-measured", daemon=True).start()

    def write(self) -> None:
        """Write now."""
        with self._changing:
            reasons = dict(self.reasons)
        measured.write(self._folder, self.routes(), reasons)

    def _run(self) -> None:
        idle = 0
        while idle < _IDLE:
            self._more.wait(_EVERY)
            if self._is_new:
                self._is_new = False
                idle = 0
                self.write()
            else:
                idle += 1
        self._runs = False
