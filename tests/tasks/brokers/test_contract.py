"""What Celery's users are used to holds on every broker, with exactly the same tasks."""

from __future__ import annotations

import time

import pytest
from celery import chain, chord, group

from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.brokers.bench import MODULE, Bench, fresh
from tests.tasks.brokers.judging import CONCURRENCY

pytestmark = pytest.mark.process


def test_a_task_runs_and_its_result_is_read(at: Bench) -> None:
    """What is sent is run once, and its result is there."""
    at.worker()
    (which,) = fresh(1)
    assert at.client.send_task(f"{MODULE}.do", (which,)).get(timeout=DEADLINE) == which
    assert at.seen("began", which) == 1


def test_a_message_says_whether_it_came_before(at: Bench) -> None:
    """What is delivered for the first time says so."""
    at.worker()
    assert at.client.send_task(f"{MODULE}.told").get(timeout=DEADLINE) is False


def test_a_task_waits_for_its_time(at: Bench) -> None:
    """A task with a countdown runs no earlier, and lets others pass."""
    at.worker()
    late, soon = fresh(2)
    sent = time.monotonic()
    later = at.client.send_task(f"{MODULE}.do", (late,), countdown=0.7)
    at.client.send_task(f"{MODULE}.do", (soon,)).get(timeout=DEADLINE)
    assert at.seen("began", late) == 0 or time.monotonic() - sent > 0.7
    assert later.get(timeout=DEADLINE) == late
    assert time.monotonic() - sent > 0.65


def test_what_is_urgent_runs_first(at: Bench) -> None:
    """Of the tasks that wait, those with a higher priority run first; 9 is the highest."""
    at.worker()
    held = fresh(CONCURRENCY)
    for which in held:
        at.client.send_task(f"{MODULE}.hold", (which,))
    at.wait("began", held)
    waiting = list(zip((0, 3, 9, 6), fresh(4), strict=True))
    for priority, which in sorted(waiting):
        at.client.send_task(f"{MODULE}.do", (which,), priority=priority)
    at.open(held[0])
    names = [which for _, which in sorted(waiting, reverse=True)]
    at.wait("done", names)
    began = [line.which for line in at.lines() if line.what == "began" and line.which in names]
    at.open(held[1])
    at.wait("done", held)
    assert began == names


def test_a_task_is_tried_again(at: Bench) -> None:
    """A task that asks for it is run again, as often as it asks."""
    at.worker()
    (which,) = fresh(1)
    assert at.client.send_task(f"{MODULE}.stumble", (which, 2)).get(timeout=DEADLINE) == 2
    assert at.seen("began", which) == 3


def test_tasks_follow_each_other_and_join(at: Bench) -> None:
    """Chains hand on results, groups collect them, chords go on with them."""
    at.worker()
    add, total = (at.client.signature(f"{MODULE}.{name}") for name in ("add", "total"))
    assert chain(add.clone((1, 2)), add.clone((3,)), add.clone((4,))).apply_async().get(timeout=DEADLINE) == 10
    several = [add.clone((number, number)) for number in range(5)]
    assert group(several).apply_async().get(timeout=DEADLINE) == [0, 2, 4, 6, 8]
    assert chord(several, total).apply_async().get(timeout=DEADLINE) == 20


def test_everybody_hears_what_is_said_to_all(at: Bench) -> None:
    """Control commands reach every worker, and its answers come back."""
    at.worker()
    another = at.another_worker()

    def answers() -> dict[str, object]:
        # Celery hears of control commands a moment after it has connected, and Redis keeps none for later.
        said = at.client.control.ping(timeout=1, limit=2)
        return {name: word for answer in said for name, word in answer.items()} if len(said) == 2 else {}

    try:
        pongs = wait_until(answers, what="both answer")
        assert list(pongs.values()) == [{"ok": "pong"}] * 2
        name = next(iter(pongs))
        told = at.client.control.inspect([name], timeout=DEADLINE, limit=1).registered()
        assert f"{MODULE}.do" in told[name]
    finally:
        at.kill(another)


def test_a_waiting_task_can_be_revoked(at: Bench) -> None:
    """A task that is revoked before it begins never begins, and its result says so."""
    at.worker()
    which, *held = fresh(CONCURRENCY + 1)
    for each in held:
        at.client.send_task(f"{MODULE}.hold", (each,))
    at.wait("began", held)
    waiting = at.client.send_task(f"{MODULE}.do", (which,))
    at.client.control.revoke(waiting.id, reply=True, timeout=DEADLINE, limit=1)
    for each in held:
        at.open(each)
    wait_until(lambda: waiting.state == "REVOKED", what="it is revoked")
    assert at.seen("began", which) == 0


def test_a_running_task_can_be_ended(at: Bench) -> None:
    """A task that is revoked with `terminate` ends, is not run again, and others go on."""
    at.worker()
    (which,) = fresh(1)
    running = at.client.send_task(f"{MODULE}.hold", (which,))
    at.wait("began", [which])
    at.client.control.revoke(running.id, terminate=True, reply=True, timeout=DEADLINE, limit=1)
    wait_until(lambda: running.state == "REVOKED", what="it is revoked")
    assert at.client.send_task(f"{MODULE}.add", (1, 2)).get(timeout=DEADLINE) == 3
    assert at.seen("began", which) == 1
