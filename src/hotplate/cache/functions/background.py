"""Refreshing while the old value is served: in a few threads of our own, or as tasks of the caller's loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from hotplate.cache.current import Hooks

_log = logging.getLogger("hotplate.cache")
_MOST = 4  # threads at once; what finds none is refreshed by a later call
_SILENCE = 60.0  # seconds between two lines about the same function

_running = threading.Semaphore(_MOST)
_tasks: set[asyncio.Task[None]] = set()
_told: dict[str, float] = {}


def in_thread(name: str, work: Callable[[], object]) -> None:
    """Run `work` in a thread, with empty context variables: those of the request it was called in will not last.

    Args:
        name: of the function, for the log.
        work: what to do.
    """
    if not _running.acquire(blocking=False):
        return
    enter = Hooks.surroundings()

    def run() -> None:
        try:
            with enter():
                work()
        except Exception as error:  # noqa: BLE001  # nobody waits for it; the old value stays until its time is over
            _tell(name, error)
        finally:
            _running.release()

    threading.Thread(target=run, name="hotplate-refresh", daemon=True).start()


def as_task(name: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `work` as a task of this loop.

    Args:
        name: of the function, for the log.
        work: gives the coroutine.
    """

    async def run() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # as above
            _tell(name, error)

    task = asyncio.get_running_loop().create_task(run(), context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _tell(name: str, error: Exception) -> None:
    now = time.monotonic()
    if now - _told.get(name, -_SILENCE) >= _SILENCE:
        _told[name] = now
        _log.warning("Refreshing %s in the background failed; the old value is served until it expires",
                     name, exc_info=error)  # fmt: skip


def _after_fork() -> None:
    """Begin anew in a child, which has none of its parent's threads and tasks."""
    global _running  # noqa: PLW0603  # a lock that the parent's threads hold is of no use to the child
    _running = threading.Semaphore(_MOST)
    _tasks.clear()


os.register_at_fork(after_in_child=_after_fork)
