"""The schedule over restarts, absences and clocks that are set; clocks are replaced, nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from celery import Celery, beat
from celery.schedules import BaseSchedule, crontab, schedstate, schedule
from hypothesis import given, settings
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.clock import Jumps
from hotplate.tasks.beat.lock import LockLostError, Run, decoded, encoded
from hotplate.tasks.beat.schedule import Fenced, Scheduler, UnsentError
from tests.support.waiting import wait_until

NOON = datetime(2026, 3, 10, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A wall clock that may be set, and seconds that pass."""

    def __init__(self) -> None:
        self.wall = NOON
        self.passed = 0.0

    def now(self) -> datetime:
        """Returns the time of day."""
        return self.wall

    def steady(self) -> float:
        """Returns seconds that have passed."""
        return self.passed

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.passed += seconds
        self.wall += timedelta(seconds=seconds)

    def set_by(self, seconds: float) -> None:
        """Sets the time of day."""
        self.wall += timedelta(seconds=seconds)


class MemoryLock:
    """A lock that one has, and that keeps the last runs as the real ones do: as JSON."""

    def __init__(self) -> None:
        self.kept = "{}"
        self.is_ours = True

    def take(self) -> bool:
        """See `Lock`."""
        return self.is_ours

    def keep(self) -> bool:
        """See `Lock`."""
        return self.is_ours

    def give_up(self) -> None:
        """See `Lock`."""
        self.is_ours = False

    def producer(self) -> object:
        """See `Lock`."""
        return object()

    def runs(self) -> dict[str, Run]:
        """See `Lock`."""
        return decoded(self.kept)

    def save(self, runs: Mapping[str, Run]) -> None:
        """See `Lock`."""
        self.kept = encoded(runs)

    @contextmanager
    def sending(self, name: str, run: Run) -> Iterator[None]:
        """See `Lock`."""
        if not self.is_ours:
            raise LockLostError
        yield
        self.save({**self.runs(), name: run})


class Recording(Scheduler):
    """Notes what it would have sent."""

    sent: list[tuple[str, str]]
    problem: Exception | None = None

    def apply_async(self, entry: Any, producer: object = None, advance: bool = True, **_: Any) -> None:
        """Notes a tick, or fails."""
        if self.problem is not None:
            wrapped = beat.SchedulingError("as Celery wraps it")
            wrapped.__context__ = self.problem
            raise wrapped
        self.sent.append((entry.name, entry.options["task_id"]))


class World:
    """A schedule, its clock, and where its last runs are kept."""

    def __init__(self, **plans: Any) -> None:
        self.clock = Clock()
        self.lock = MemoryLock()
        self.sent: list[tuple[str, str]] = []
        self.plans = plans
        self.restart()

    def restart(self) -> None:
        """Ends the process and begins another."""
        self.app = Celery("schedule", set_as_current=False, broker="memory://", backend="disabled://")
        self.app.now = self.clock.now
        self.app.conf.beat_schedule = {name: {"task": name, "schedule": plan} for name, plan in self.plans.items()}
        self.app.conf.result_expires = None
        Recording.sent = self.sent
        self.scheduler = Recording(self.app, self.lock, Jumps(self.clock.now, self.clock.steady))

    def tick(self) -> None:
        """Sends all that is due now."""
        for _ in range(100):
            if self.scheduler.tick() > 0:
                return
        pytest.fail("a storm: 100 ticks at one moment")

    def live(self, seconds: float, step: float = 1.0) -> None:
        """Lets time pass."""
        for _ in range(round(seconds / step)):
            self.clock.pass_(step)
            self.tick()

    def times(self, name: str) -> int:
        """Returns how often an entry was sent."""
        return [sent for sent, _ in self.sent].count(name)


HOUR, DAY = 3600.0, 86400.0


def test_an_interval_of_a_day_survives_daily_restarts() -> None:
    """What runs once a day runs once a day, also where deployments begin the process anew more often than that."""
    world = World(report=timedelta(days=1))
    for _ in range(20):
        world.live(11 * HOUR, step=HOUR)
        world.restart()
        world.tick()
    assert world.times("report") == 20 * 11 // 24


@pytest.mark.parametrize("plan", [timedelta(minutes=10), crontab(minute="*/10"), crontab(minute=30)], ids=str)
def test_what_was_due_while_nobody_ran_is_sent_once(plan: Any) -> None:
    """After a night without a beat every entry is made up for once, not once per missed time."""
    world = World(report=plan)
    world.tick()
    world.clock.pass_(13 * HOUR)
    world.restart()
    world.tick()
    assert world.times("report") == 1


def test_a_restart_neither_repeats_nor_forgets() -> None:
    """Restarting at every second changes nothing."""
    world = World(often=timedelta(seconds=10), minute=crontab())
    for _ in range(300):
        world.live(1)
        world.restart()
    assert (world.times("often"), world.times("minute")) == (30, 5)


steps = st.lists(
    st.tuples(st.integers(0, 400), st.one_of(st.just(0), st.integers(2, 200_000), st.integers(-200_000, -2))),
    min_size=1,
    max_size=5,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_intervals_are_of_time_that_passes(course: list[tuple[int, int]]) -> None:
    """However the clock is set, an interval's tasks are sent as often as time has passed."""
    world = World(often=timedelta(seconds=60))
    for seconds, jump in course:
        world.live(seconds)
        world.clock.set_by(jump)
        world.tick()
    total = sum(seconds for seconds, _ in course)
    assert abs(world.times("often") - total / 60) <= 1 + total / 6000


@given(steps)
@settings(max_examples=60, deadline=None)
def test_a_clock_that_is_set_brings_neither_storm_nor_silence(course: list[tuple[int, int]]) -> None:
    """A schedule by the wall clock goes on by the new time: at most one task per step, none late by two periods."""
    world = World(minute=crontab())
    for seconds, jump in course:
        world.live(seconds)
        before = world.times("minute")
        world.clock.set_by(jump)
        world.tick()
        assert world.times("minute") - before <= 1
        world.live(120)
        assert 1 <= world.times("minute") - before <= 4


def test_a_small_step_back_repeats_no_daily_task() -> None:
    """A clock put right by minutes does not send the nightly task twice, and the next night it is sent again."""
    world = World(nightly=crontab(hour=12, minute=30))
    world.live(40 * 60, step=60)
    assert world.times("nightly") == 1
    world.clock.set_by(-20 * 60)
    world.live(HOUR, step=60)
    assert world.times("nightly") == 1
    world.live(DAY, step=300)
    assert world.times("nightly") == 2


def test_a_clock_that_was_years_ahead_does_not_silence_anything() -> None:
    """Last runs in the future, by a clock that was wrong while nobody ran, hold nothing up."""
    world = World(often=timedelta(minutes=1), minute=crontab())
    world.clock.set_by(900 * DAY)
    world.live(300)
    world.clock.set_by(-900 * DAY)
    world.sent.clear()
    world.restart()
    world.live(150)
    assert (world.times("often"), world.times("minute")) == (2, 2)


class EverySeventh(BaseSchedule):
    """A schedule of the user's own."""

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Returns how long until the next."""
        left: timedelta = last_run_at + timedelta(seconds=7) - self.now()
        return left

    def is_due(self, last_run_at: datetime) -> Any:
        """Says whether it is time."""
        left = self.remaining_estimate(last_run_at).total_seconds()
        return schedstate(left <= 0, max(left, 0) or 7)


@pytest.mark.parametrize(
    "plan", [EverySeventh(), schedule(timedelta(seconds=7)), 7, 7.0], ids=["own", "schedule", "int", "float"]
)
def test_schedules_of_any_kind(plan: Any) -> None:
    """Whatever Celery takes as a schedule is one here, the user's own included."""
    world = World(own=plan)
    world.live(70)
    assert world.times("own") == 10
    world.clock.set_by(-10 * DAY)
    world.live(70)
    assert 19 <= world.times("own") <= 20


def test_a_tick_that_could_not_be_sent_is_still_due() -> None:
    """While the broker is away nothing counts as sent, and the tick has the same id at the next try."""
    world = World(report=timedelta(minutes=1))
    world.clock.pass_(61)
    world.scheduler.problem = OperationalError("away")
    for _ in range(3):
        with pytest.raises(UnsentError, match="away"):
            world.tick()
    assert world.lock.runs()["report"].count == 0
    world.scheduler.problem = None
    world.tick()
    assert world.times("report") == 1
    assert world.lock.runs()["report"].count == 1


def test_a_tick_has_one_id() -> None:
    """A tick that was sent, but not noted, because its beat died in between, is sent with the same id."""
    world = World(report=timedelta(minutes=1))
    before = world.lock.kept
    world.clock.pass_(61)
    world.tick()
    world.lock.kept = before
    world.restart()
    world.clock.pass_(1)
    world.tick()
    world.clock.pass_(61)
    world.tick()
    ids = [UUID(tick) for _, tick in world.sent]
    assert ids[0] == ids[1] != ids[2]


def test_an_entry_that_can_never_be_sent_holds_up_no_other() -> None:
    """Arguments that are no JSON are that entry's fault: it is logged, and the schedule goes on."""
    world = World(broken=timedelta(minutes=1))
    world.scheduler.problem = TypeError("not JSON")
    world.live(180)
    assert world.lock.runs()["broken"].count == 3


def test_without_the_lock_nothing_is_sent() -> None:
    """The lock is asked right before each tick."""
    world = World(report=timedelta(minutes=1))
    world.clock.pass_(61)
    world.lock.give_up()
    with pytest.raises(LockLostError):
        world.tick()
    assert world.sent == []


@pytest.mark.parametrize("kept", ["", "no JSON", '{"report": 3}', "[]", '{"report": {"last": "yesterday"}}'])
def test_last_runs_that_cannot_be_read_count_as_never(kept: str) -> None:
    """A damaged note makes an entry run when it is next due, and stops nothing."""
    world = World(report=timedelta(minutes=1))
    world.lock.kept = kept
    world.restart()
    world.live(60)
    assert world.times("report") == 1


def test_last_runs_are_json_that_people_can_read() -> None:
    """No pickle: what is kept is data."""
    runs = {"report": Run(NOON, 3)}
    assert encoded(runs) == '{"report":{"last":"2026-03-10T12:00:00Z","count":3}}'
    assert decoded(encoded(runs)) == runs


def test_a_process_that_was_stopped_has_seen_no_jump() -> None:
    """Reading two clocks takes time on a busy machine; that is no jump."""
    clock = Clock()
    slow = iter([30.0])

    def wall() -> datetime:
        found = clock.now()
        clock.pass_(next(slow, 0.0))
        return found

    jumps = Jumps(wall, clock.steady)
    clock.pass_(5)
    assert jumps.since_last() == timedelta()
    clock.set_by(60)
    assert jumps.since_last() == timedelta(seconds=60)


def test_an_apps_own_scheduler_is_fenced_too() -> None:
    """Whatever `beat_scheduler` names sends through the lock."""
    fenced: Callable[..., Any] = type("Own", (Fenced, beat.Scheduler), {"lock": MemoryLock()})
    app = Celery("own", set_as_current=False, broker="memory://", backend="disabled://")
    app.conf.beat_schedule = {"report": {"task": "report", "schedule": timedelta(microseconds=1)}}
    app.conf.result_expires = None
    scheduler = fenced(app)
    scheduler.lock.give_up()
    with pytest.raises(LockLostError):
        wait_until(lambda: scheduler.tick() < 0, what="it is due")
