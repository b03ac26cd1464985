"""What is known of one thread of the pool, read by its controller and by the request it runs."""

from __future__ import annotations

import threading
from time import thread_time
from typing import Any


class PoolThread:
    """One thread of the pool.

    Attributes:
        ident: as of `threading.get_ident`, 0 before it runs.
        native_id: as the kernel counts threads.
        since: when it took the call it is running (`perf_counter`), 0.0 while it waits for one.
        delay: how long that call had been queued, in seconds.
        cpu: its CPU clock when its previous request ended, in seconds.
        done: how many calls it has finished.
        detached: whether it has left the pool to belong to one long stream.
    """

    __slots__ = ("cpu", "delay", "detached", "done", "ident", "native_id", "since")

    def __init__(self) -> None:
        self.ident = 0
        self.native_id = 0
        self.since = 0.0
        self.delay = 0.0
        self.cpu = 0.0
        self.done = 0
        self.detached = False

    def begin(self) -> None:
        """Called first thing in the thread itself."""
        self.ident = threading.get_ident()
        self.native_id = threading.get_native_id()
        self.cpu = thread_time()
        here.thread = self


class _Here(threading.local):
    thread: Any = None


here = _Here()
"""`here.thread` is the `PoolThread` that runs the calling code, None outside the pool."""
