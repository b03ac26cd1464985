"""The status of a task as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

An event per change, a comment when nothing changed for a while: a client that has gone is noticed when it is written
to. A browser comes back by itself when a stream ends, says which event it saw last, and stays away at a 204.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from threading import Condition, Event, Lock

from hotplate.tasks import news, status
from hotplate.tasks.untyped import App

TYPE = "text/event-stream"
# Proxies must not collect what is to arrive at once (nginx's name for it; the others look at the type).
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
LIFE = 600.0  # seconds; a stream holds a thread under WSGI, and browsers come back
SILENCE = 15.0  # seconds between comments: what the specification advises, as proxies give up at 30 and more
LOOK = 5.0  # seconds after which it is looked at without news
MOST = 8  # streams per process that hold a thread; more are answered once and come back, as polling does
_BACK, _BACK_LATER = b"retry: 2000\n\n", b"retry: 5000\n\n"  # milliseconds
_ALIVE = b":\n\n"

_streams, _lock = 0, Lock()
_leaving = Event()


def leave() -> None:
    """End all streams of this process, and those that begin from now on after a look: it is about to stop.

    Browsers come back by themselves, to whoever listens then.
    """
    _leaving.set()
    news.wake_all()


def is_over(last_event_id: str | None) -> bool:
    """Whether a client that comes back has seen the end, and is to be sent a 204.

    Args:
        last_event_id: its Last-Event-ID.
    """
    return last_event_id in status.FINAL


def frame(shown: status.Status) -> bytes:
    """Return a status as an event.

    Example:
        >>> frame(status.Status("d9428888-122b-11e1-b85c-61cd3cbb3210", "failed", True, None)).startswith(b"id: failed")
        True
    """
    return b"id: %s\ndata: %s\n\n" % (shown.state.encode(), status.encode(shown))


def frames(app: App, identity: str, life: float = LIFE) -> Iterator[bytes]:
    """Yield the events of a task until it is over; holds the thread that asks.

    Args:
        app: a Celery app.
        identity: of the task.
        life: seconds after which it ends in any case.
    """
    with _counted() as allowed:
        talk = _Talk(app, identity, life if allowed else 0)
        changed = _Signal()
        with news.of(app).wake(identity, changed.set):
            while (said := talk.say()) is not None:
                if said:
                    yield said
                if talk.over():
                    return
                changed.wait(min(LOOK, talk.left()))


async def frames_async(app: App, identity: str, life: float = LIFE) -> AsyncIterator[bytes]:
    """Yield the events of a task until it is over; holds no thread while it waits.

    Args:
        app: a Celery app.
        identity: of the task.
        life: seconds after which it ends in any case.
    """
    talk = _Talk(app, identity, life)
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(changed.set)

    with news.of(app).wake(identity, wake):
        while True:
            changed.clear()
            said = await asyncio.to_thread(talk.say)
            if said is None:
                return
            if said:
                yield said
            if talk.over():
                return
            try:
                async with asyncio.timeout(min(LOOK, talk.left())):
                    await changed.wait()
            except TimeoutError:
                continue


class _Talk:
    """What is said next on one stream."""

    def __init__(self, app: App, identity: str, life: float) -> None:
        self._app, self._identity = app, identity
        self._until = time.monotonic() + life
        self._last, self._spoke = b"", 0.0
        self._final = False

    def say(self) -> bytes | None:
        """Return what is new, a comment where nothing is, b"" for nothing at all; None where it is to end."""
        try:
            shown = status.read(self._app, self._identity)
        except status.StatusUnavailableError:
            return self._end()
        said, self._final = frame(shown), shown.final
        now = time.monotonic()
        if said != self._last:
            said, self._last = (b"" if self._last else _BACK) + said, said
        elif now - self._spoke >= SILENCE:
            said = _ALIVE
        else:
            return b""
        self._spoke = now
        return said

    def _end(self) -> bytes | None:
        """Ask the browser to come back later, once: at an error it would stay away for good."""
        if self._until == 0.0:
            return None
        self._until = 0.0
        return _BACK_LATER

    def over(self) -> bool:
        """Whether nothing more is to be said."""
        return self._final or _leaving.is_set() or self.left() <= 0

    def left(self) -> float:
        """Return seconds until it ends in any case."""
        return max(self._until - time.monotonic(), 0)


class _Signal:
    """An event that clears itself when it has been waited for."""

    def __init__(self) -> None:
        self._condition, self._is_set = Condition(), False

    def set(self) -> None:
        with self._condition:
            self._is_set = True
            self._condition.notify()

    def wait(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._is_set, seconds)
            self._is_set = False


class _counted:  # noqa: N801  # a context manager, used like a function
    """Counts the streams that hold a thread; its value says whether one more may."""

    def __enter__(self) -> bool:
        global _streams  # noqa: PLW0603  # threads are the process's
        with _lock:
            _streams += 1
            return _streams <= MOST

    def __exit__(self, *_: object) -> None:
        global _streams  # noqa: PLW0603  # see above
        with _lock:
            _streams -= 1
