"""The beat's process: waits until it is the one, and then sends what is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from logging import getLogger
from typing import Any

from celery import beat, signals
from celery.app.base import Celery
from celery.utils.imports import symbol_by_name
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.lock import Lock, LockLostError, lock_of
from hotplate.tasks.beat.schedule import Fenced, Scheduler, UnsentError

# Seconds: how soon somebody who asks us to stop, a clock that is set, or a lock that is free are noticed.
_SLICE = 0.5
_RETRY = 1.0
_CELERYS_OWN = "celery.beat:PersistentScheduler"

_log = getLogger(__name__)


def serve(
    app: Celery,
    *,
    on_ready: Callable[[], None],
    should_stop: Callable[[], bool],
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Send an app's scheduled tasks until told to stop; of several processes that do this, one sends.

    Args:
        app: whose `beat_schedule` it is. A `beat_scheduler` of its own is used, under the same lock.
        on_ready: called once, when the schedule is loaded: from then on this process sends, or stands by.
        should_stop: asked about twice a second.
        pause: waits so many seconds; for tests.

    Returns:
        The exit status, 0.

    Example:
        >>> serve(app, on_ready=lambda: print("ready"), should_stop=stopping.is_set)
    """
    app.loader.init_worker()
    app.finalize()
    app.conf.beat_schedule  # noqa: B018 - now, so that a schedule that cannot be read stops the start
    lock = lock_of(app)
    on_ready()
    waiting = _Said()
    try:
        while not should_stop():
            try:
                if lock.take():
                    waiting.over("The broker answers again")
                    _beat(app, lock, should_stop, pause)
                    continue
                waiting.over("The broker answers again")
            except OperationalError as problem:
                waiting.say(f"The beat waits for its broker: {problem}")
            pause(_RETRY if waiting else _SLICE)
    finally:
        lock.give_up()
    return 0


def _beat(app: Celery, lock: Lock, should_stop: Callable[[], bool], pause: Callable[[float], object]) -> None:
    """Send while the lock is ours; OperationalError says that the broker is away, and the lock with it."""
    scheduler = _scheduler(app, lock)
    signals.beat_init.send(sender=beat.Service(app))
    _log.info("This beat sends the scheduled tasks now")
    try:
        while not should_stop():
            if not lock.keep():
                _log.warning("Another beat has taken over; this one stands by")
                return
            pause(min(max(scheduler.tick() or 0.0, 0.0), _SLICE))
    except LockLostError:
        _log.warning("Another beat has taken over; this one stands by")
    except UnsentError as problem:
        raise OperationalError(str(problem)) from problem
    finally:
        scheduler.close()


def _scheduler(app: Celery, lock: Lock) -> Fenced:
    named = app.conf.beat_scheduler
    if named == _CELERYS_OWN:
        return Scheduler(app, lock)
    theirs: Any = symbol_by_name(named)
    fenced: type[Fenced] = type(theirs.__name__, (Fenced, theirs), {"lock": lock})
    return fenced(app, schedule_filename=app.conf.beat_schedule_filename, max_interval=app.conf.beat_max_loop_interval)


class _Said:
    """Says something once, until it is over."""

    def __init__(self) -> None:
        self._words = ""

    def __bool__(self) -> bool:
        return bool(self._words)

    def say(self, words: str) -> None:
        if not self._words:
            _log.warning("%s", words)
        self._words = words

    def over(self, words: str) -> None:
        if self._words:
            _log.info("%s", words)
        self._words = ""
