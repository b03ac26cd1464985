"""What a task worker counts and measures."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from billiard.einfo import ExceptionInfo
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry

from hotplate.tasks.worker import attempts, children, memory
from hotplate.tasks.worker.counting import Counter, LastMinute
from hotplate.tasks.worker.memory import Private, Sizes

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def raised(error: Exception) -> ExceptionInfo:
    """Return what billiard makes of an exception."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def test_the_last_minute() -> None:
    """An event counts for a minute, and a clock that stood still or jumped spoils nothing."""
    now = 1000.0
    minute = LastMinute(lambda: now)
    for second in range(120):
        now = 1000.0 + second
        minute.add()
        minute.add()
    assert minute.total() == 120
    now += 59
    assert minute.total() == 2
    now += 1
    assert minute.total() == 0
    now += 100_000
    minute.add()
    assert minute.total() == 1


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (None, {"succeeded": 1}),
        (ValueError(), {"failed": 1}),
        (Retry(), {"retried": 1}),
        (Ignore(), {"succeeded": 1}),
        (Reject(), {}),
    ],
)
def test_ends_of_tasks(error: Exception | None, counted: dict[str, int]) -> None:
    """Each end of a task counts as what it is."""
    counter = Counter()
    counter.ended(True, (0, "result", 0.1) if error is None else (1, raised(error), 0.1))
    counts = counter.counts()
    found = {name: getattr(counts, name) for name in ("succeeded", "failed", "retried") if getattr(counts, name)}
    assert found == counted
    assert counts.rates.succeeded == counts.succeeded


def test_what_celery_itself_failed_at() -> None:
    """An answer that is no result of a task counts as failed."""
    counter = Counter()
    counter.ended(False, raised(ValueError()))
    assert counter.counts().failed == 1


class Meter:
    """Sizes that a test sets, and how often the dear one was read."""

    def __init__(self) -> None:
        self.now, self.private, self.resident, self.asked, self.cost = 0.0, 1000, 5000, 0, 0.01

    def ask(self) -> int:
        """Read the private size, which takes time."""
        self.asked += 1
        self.now += self.cost
        return self.private


def test_memory_is_measured_a_fiftieth_of_the_time() -> None:
    """Many short tasks do not pay for a measurement each; one that took much is noticed at once."""
    meter = Meter()
    private = Private(100 * 2**20, Sizes(meter.ask, lambda: meter.resident), lambda: meter.now)
    for _ in range(1000):
        assert private.kilobytes() == 1000
        meter.now += 0.001
    assert 2 <= meter.asked <= 4
    asked, meter.private, meter.resident = meter.asked, 90_000, 94_000
    assert private.kilobytes() == 90_000
    assert meter.asked == asked + 1


def test_private_memory_is_what_is_not_shared() -> None:
    """What a process inherits is not its own until it writes to it."""
    inherited = bytearray(b"x") * (30 * 2**20)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        before = memory.private()
        inherited[::4096] = b"y" * len(inherited[::4096])
        os.write(writable, f"{before} {memory.private()} {memory.resident()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    before, after, resident = map(int, os.read(readable, 100).split())
    os.close(readable)
    os.close(writable)
    assert after - before > 25 * 1024
    assert resident > 30 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_parent_that_died_before() -> None:
    """A child whose parent has died before it could ask to die with it, ends."""
    child = os.fork()
    if child == 0:
        children.end_with(os.getpid(), children._library())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_a_parent_that_lives() -> None:
    """A child whose parent lives goes on."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        children.end_with(parent, children._library())
        signal.pause()
    os.kill(child, 0)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("redelivered", "eta", "lost"),
    [
        (False, None, False),
        (True, None, True),
        (True, NOW - timedelta(seconds=1), True),
        (True, NOW + timedelta(seconds=1), False),
        (True, "nonsense", True),
    ],
)
def test_what_counts_as_an_attempt(redelivered: bool, eta: datetime | str | None, lost: bool) -> None:
    """A message counts that comes back after its time; one that only waited in a worker has not been tried."""
    text = eta.isoformat() if isinstance(eta, datetime) else eta
    message = SimpleNamespace(delivery_info={"redelivered": redelivered}, headers={"eta": text})
    assert attempts.lost(message, NOW) is lost


@pytest.mark.parametrize("given", [None, "5", -1, 2.5, [1]])
def test_numbers_from_elsewhere(given: object) -> None:
    """A header that is no count of ours counts as none."""
    assert attempts.number({"n": given}, "n") == 0


def test_limits() -> None:
    """Pauses grow and end growing; there is always one attempt."""
    app = Celery(set_as_current=False)
    assert attempts.limit(app) == attempts.DEFAULT
    app.conf[attempts.SETTING] = -3
    assert attempts.limit(app) == 1
    assert attempts.pause(app, 50) == 3600
