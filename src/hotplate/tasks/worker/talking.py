"""A thread that tells how it goes, also while the main thread waits for the broker or for the last task."""

from __future__ import annotations

import threading
from typing import Protocol

from hotplate.tasks.worker import counting
from hotplate.tasks.worker.counting import Counts


class Talk(Protocol):
    """What the process that serves has to say, and what it must do in each child; given by the supervisor."""

    def ready(self, processes: tuple[int, ...]) -> None:
        """Say that the pool is forked; called once, in the main thread. The broker may still be out of reach."""

    def counts(self, counts: Counts) -> None:
        """Say how it goes; called by a thread about once a second, and must not take a lock, log, import or print.

        A child may be forked at any moment: what this thread holds then stays held in the child for ever.
        """

    def in_child(self) -> None:
        """Do first in every process that runs tasks: close what belongs to the main process, renew pools."""


class Talker:
    """Tells regularly.

    Args:
        talk: whom to tell.
        every: seconds in between.
    """

    def __init__(self, talk: Talk, every: float) -> None:
        self._talk = talk
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hotplate-talk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell for the last time, and end."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._talk.counts(counting.COUNTER.counts())

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self._talk.counts(counting.COUNTER.counts())
