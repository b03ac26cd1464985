"""The scheduler: Celery's, with last runs kept as JSON, fenced by the lock, and safe from clocks that are set."""

from __future__ import annotations

from datetime import timedelta
from logging import getLogger
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from celery import beat
from celery.app.base import Celery
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.clock import Jumps, last_run_after
from hotplate.tasks.beat.connecting import Producer
from hotplate.tasks.beat.lock import Lock, Run

_log = getLogger(__name__)


class UnsentError(Exception):
    """A tick could not be sent because the broker is away; it is still due."""


class Fenced(beat.Scheduler):
    """What every scheduler under the lock does, the app's own included: send as the lock's holder, or not at all."""

    lock: Lock

    @property
    def producer(self) -> Producer:
        """What ticks are sent by."""
        return self.lock.producer()

    def apply_entry(self, entry: beat.ScheduleEntry, producer: Producer | None = None) -> None:
        """Send a tick.

        Raises:
            LockLostError: another beat may send.
            UnsentError: the broker is away; the tick stays due.
        """
        after = self.schedule[entry.name]
        try:
            with self.lock.sending(entry.name, Run(after.last_run_at, after.total_run_count)):
                self._send(entry, producer)
        except BaseException as problem:
            self.schedule[entry.name] = entry
            self._heap = None
            if isinstance(problem, OperationalError):
                raise UnsentError(str(problem)) from problem
            raise

    def _send(self, entry: beat.ScheduleEntry, producer: Producer | None) -> None:
        # Not by copy.copy(): an entry's way to be copied takes the app from its schedule, which the copy shares.
        tick = object.__new__(type(entry))
        tick.__dict__.update(entry.__dict__)
        # A tick's id is always the same, so one that was sent by a beat that died before it could note that is known
        # again by our workers once its result says that it is done (`attempts.is_tick`); while it runs, or where no
        # result is kept, it is run twice. A retry could send through a new connection, which the lock knows nothing of.
        name = f"{self.app.main}:{entry.name}:{entry.total_run_count}:{entry.last_run_at.isoformat()}"
        tick.options = {"task_id": str(uuid5(NAMESPACE_OID, name)), **entry.options, "retry": False}
        try:
            self.apply_async(tick, producer=producer, advance=False)
        except beat.SchedulingError as problem:
            if isinstance(problem.__context__, OperationalError | OSError):
                raise OperationalError(str(problem.__context__)) from problem.__context__
            # The entry's own fault (arguments that are no JSON, say), as it would be at the next try.
            _log.exception("The scheduled task %s (%s) cannot be sent", entry.name, entry.task)
        else:
            _log.info("Sent the scheduled task %s (%s)", entry.name, entry.task)


class Scheduler(Fenced):
    """Keeps the last runs where the lock is.

    Args:
        app: whose `beat_schedule` it is.
        lock: held by us.
        jumps: notices when the clock is set.
    """

    def __init__(self, app: Celery, lock: Lock, jumps: Jumps | None = None, **options: Any) -> None:  # noqa: ANN401 - Celery's
        self.lock = lock
        self._jumps = jumps or Jumps(app.now)
        super().__init__(app, **options)

    def setup_schedule(self) -> None:
        """Take the schedule from the app's configuration, and when its entries last ran from where that is kept."""
        self.merge_inplace(self.app.conf.beat_schedule)
        self.install_default_entries(self.schedule)
        runs = self.lock.runs()
        for name, entry in self.schedule.items():
            if name in runs:
                last = runs[name].last.astimezone(self.app.timezone)
                entry.last_run_at = last_run_after(timedelta(), last, entry.schedule, entry.default_now())
                entry.total_run_count = runs[name].count
        # Those that never ran count from when they were first seen, however often we start again.
        self.lock.save(self._runs())

    def tick(self) -> float:
        """Send what is due, one at a time; see Celery. Returns seconds until it is worth to ask again."""
        if jump := self._jumps.since_last():
            self._follow(jump)
        wait: float = super().tick()
        return wait

    def _follow(self, jump: timedelta) -> None:
        _log.warning("The clock was set by %+.0f s; the schedule goes on by the new time", jump.total_seconds())
        for entry in self.schedule.values():
            entry.last_run_at = last_run_after(jump, entry.last_run_at, entry.schedule, entry.default_now())
        self._heap = None
        self.lock.save(self._runs())

    def _runs(self) -> dict[str, Run]:
        return {name: Run(entry.last_run_at, entry.total_run_count) for name, entry in self.schedule.items()}
