"""Nothing that was sent is lost, whatever is killed meanwhile; what runs twice had been interrupted."""

from __future__ import annotations

import random

import pytest

from tests.support.waiting import wait_until
from tests.tasks.brokers.bench import MODULE, Bench, fresh, runs
from tests.tasks.brokers.judging import twice_for_no_reason

pytestmark = pytest.mark.process

MANY = 300


def test_a_killed_worker_loses_nothing(at: Bench) -> None:
    """What a worker had taken when its main process was killed is run by the next one, which is told so."""
    main = at.worker()
    running, waiting = fresh(2), fresh(3)
    for which in running:
        at.send("hold", which)
    at.wait("began", running)
    for which in waiting:
        at.send("do", which)
    at.kill(main)
    for which in running:
        at.open(which)
    assert at.worker() != main
    at.wait("done", running + waiting)
    assert [at.seen("began", which) for which in running + waiting] == [2, 2, 1, 1, 1]


def test_a_killed_worker_loses_no_task_that_waits_for_its_time(at: Bench) -> None:
    """A task with a countdown that a worker held when it was killed runs when its time has come, once."""
    main = at.worker()
    late, soon = fresh(2)
    at.client.send_task(f"{MODULE}.do", (late,), countdown=1.0)
    at.send("do", soon)
    at.wait("done", [soon])
    at.kill(main)
    at.worker()
    at.wait("done", [late])
    assert at.seen("began", late) == 1


def test_a_killed_worker_does_not_leave_tasks_running(at: Bench) -> None:
    """The processes that run tasks end with the main process that they belong to."""
    main = at.worker()
    children = at.children(main)
    assert children
    at.kill(main)
    wait_until(lambda: not any(map(runs, children)), what="no task process is left")


def test_another_worker_takes_over_at_once(at: Bench) -> None:
    """When one of several workers is killed, another runs its tasks within seconds, without being started anew."""
    main = at.worker()
    which = fresh(2)
    for each in which:
        at.send("hold", each)
    at.wait("began", which)
    at.another_worker()
    at.kill(main)
    for each in which:
        at.open(each)
    at.wait("done", which)
    assert [at.seen("began", each) for each in which] == [2, 2]


def test_a_killed_task_process_loses_nothing(at: Bench) -> None:
    """A task whose process is killed is run again; its worker goes on."""
    main = at.worker()
    which = fresh(2)
    for each in which:
        at.send("hold", each)
    at.wait("began", which)
    at.kill(at.children(main)[0], main)
    for each in which:
        at.open(each)
    at.wait("done", which)
    assert sorted(at.seen("began", each) for each in which) == [1, 2]
    assert at.worker() == main


def test_a_killed_producer_loses_nothing_that_it_knew_was_sent(at: Bench) -> None:
    """Every task that a killed producer had sent is run once; the one it was sending, once or not at all."""
    at.worker()
    which = fresh(400)
    producer = at.producer(which)
    wait_until(lambda: len(at.lines_of("sent").keys() & set(which)) > 20, what="it is in the middle of it")
    at.kill(producer)
    sent = [each for each in which if at.seen("sent", each)]
    assert len(sent) < len(which)
    at.wait("done", sent)
    began = at.lines_of("began")
    assert {began[each] for each in sent} == {1}
    assert sum(began[each] for each in set(which) - set(sent)) <= 1


def test_hundreds_of_tasks_under_random_kills(at: Bench) -> None:
    """While workers, their processes and producers are killed at random, every task is done, and few twice."""
    choose = random.Random(4)
    at.worker()
    at.another_worker()
    left = fresh(MANY)
    every = set(left)
    producer = at.producer(left, 0.002)
    for step in range(1, 8):
        goal = MANY * step // 9
        wait_until(lambda goal=goal: len(at.lines_of("done").keys() & every) >= goal, what=f"{goal} are done")  # type: ignore[misc]  # a default binds it
        match choose.choice(["main", "child", "child", "producer"]):
            case "producer":
                at.kill(producer)
                sent = at.lines_of("sent")
                left = [which for which in left if not sent[which]]
                producer = at.producer(left, 0.002)
            case "main":
                at.kill(at.worker())
                at.another_worker()
            case _:
                main = at.worker()
                if children := at.children(main):
                    at.kill(choose.choice(children), main)
    at.wait("done", every)
    wrong = twice_for_no_reason(at.lines())
    told = [line for line in at.lines() if line.which in wrong or line.what in {"killing", "killed"}]
    assert not wrong, "\n".join(map(str, told))
