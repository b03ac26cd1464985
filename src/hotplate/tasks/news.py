"""Who waits for news of tasks is woken by them: one thread per process listens for all who wait.

The embedded store sends a datagram with each result and Redis publishes it; with any other store it is asked again. Who
was woken looks for itself, so a word too many costs a look, and one too few is made good by the next look.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from hotplate.tasks.untyped import App, Value

PAUSE = 0.05  # seconds between two wake-ups: a bar that moves 20 times a second is smooth
ASKED = 0.5  # seconds between looks where nobody tells
_SLOW = 2.0  # seconds until a listener that failed is tried again
_log = logging.getLogger("hotplate.tasks")

Wake = Callable[[], object]


class News:
    """Wakes those who wait for tasks of one Celery app, in this process.

    Args:
        app: a Celery app.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[str, Wake]] = {}
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()

    @contextmanager
    def wake(self, identity: str, wake: Wake) -> Iterator[None]:
        """Call something whenever there may be news of a task, from another thread; until the context ends.

        Args:
            identity: of the task.
            wake: must be quick and not raise.
        """
        key = object()
        with self._lock:
            self._waiting[key] = (identity, wake)
            self._changed.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="hotplate-task-news", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[key]

    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def wake_all(self) -> None:
        """Wake everybody who waits."""
        with self._lock:
            wakes = [wake for _, wake in self._waiting.values()]
        for wake in wakes:
            wake()

    def _listen(self) -> None:
        while True:
            try:
                for _ in self._words():
                    if not self._tell():
                        return
                    time.sleep(PAUSE)
            except Exception as problem:  # noqa: BLE001  # a store that is away; those who wait look by themselves
                _log.info("News of tasks are asked for again: %s", type(problem).__name__)
                time.sleep(_SLOW)
                if not self._tell():
                    return

    def _tell(self) -> bool:
        """Wake all who wait; False if nobody did, and the thread is to end."""
        with self._lock:
            wakes = [wake for _, wake in self._waiting.values()]
            if not wakes:
                self._thread = None
        for wake in wakes:
            wake()
        return bool(wakes)

    def _words(self) -> Iterator[None]:
        """Yield whenever there may be news, and every now and then."""
        backend = self._app.backend
        watching = getattr(backend, "watching", None)  # the embedded results', which are of this room
        if watching is not None:
            yield from _told_by_file(watching)
        elif hasattr(backend, "client") and hasattr(backend.client, "pubsub"):
            yield from self._told_by_redis(backend)
        else:
            while True:
                time.sleep(ASKED)
                yield

    def _told_by_redis(self, backend: Value) -> Iterator[None]:
        with backend.client.pubsub(ignore_subscribe_messages=True) as ears:
            heard: set[str] = set()
            while True:
                with self._lock:
                    wanted = {str(_key(backend, identity)) for identity, _ in self._waiting.values()}
                    self._changed.clear()
                subscribed = bool(wanted - heard)
                if subscribed:
                    ears.subscribe(*(wanted - heard))
                if heard - wanted:
                    ears.unsubscribe(*(heard - wanted))
                heard = wanted
                if not heard:
                    yield
                    continue
                if subscribed:
                    # What was published before Redis had the subscription is seen by looking once more.
                    ears.get_message(timeout=PAUSE)
                    yield
                until = time.monotonic() + 1.0
                while time.monotonic() < until and not self._changed.is_set():
                    if ears.get_message(timeout=0.1) is not None:
                        break
                yield


def _told_by_file(watching: Value) -> Iterator[None]:
    with watching.watch(["any", "any"]) as ear:  # two or more: news of every task
        while True:
            ear.wait(1.0)
            yield


def _key(backend: Value, identity: str) -> str:
    key = backend.get_key_for_task(identity)
    return key.decode() if isinstance(key, bytes) else key


_all: WeakKeyDictionary[App, tuple[int, News]] = WeakKeyDictionary()


def of(app: App) -> News:
    """Return the news of a Celery app's tasks in this process; a fork's child has its own.

    Args:
        app: a Celery app.
    """
    known = _all.get(app)
    if known is None or known[0] != os.getpid():
        known = _all[app] = (os.getpid(), News(app))
    return known[1]


def wake_all() -> None:
    """Wake everybody who waits in this process, for whichever app."""
    for pid, known in list(_all.values()):
        if pid == os.getpid():
            known.wake_all()
