"""What workers answer, ours and Celery's own, becomes records; whatever is strange in it is left out."""

from __future__ import annotations

from typing import Any

import msgspec

from hotplate.tasks.admin.report import Rates, RunningTask
from hotplate.tasks.admin.workers import Heard, understand
from hotplate.tasks.worker import counting

NOW = 1_700_000_000.0
OURS = "hotplate-default-tasks@here"


def heard(**answers: Any) -> Heard:
    """Return answers, of which those not given are missing."""
    return Heard(**{"active": {}, "queues": {}, "stats": {}, "counts": {}, **answers})


def counts(**fields: Any) -> Any:
    """Return what one of our workers answers, as it travels."""
    return msgspec.json.decode(msgspec.json.encode(counting.Counts(**fields)))


def test_nobody() -> None:
    """Without an answer there is nobody, and no rates are made up."""
    assert understand(heard(), NOW) == ((), (), Rates())


def test_ours() -> None:
    """Our workers count, and say how long a task has been running by a clock that does not jump."""
    running = (counting.Running("1", "shop.mail", 2.5, 77),)
    told = counts(succeeded=9, failed=2, retried=1, parked=3, running=running, rates=counting.Rates(8, 6, 2, 1))
    found = understand(
        heard(
            counts={OURS: told},
            active={OURS: [{"id": "1", "name": "shop.mail", "time_start": NOW - 99}]},
            stats={OURS: {"pid": 7, "uptime": 60, "pool": {"max-concurrency": 2}}},
            queues={OURS: [{"name": "celery"}, {"name": "mail"}]},
        ),
        NOW,
    )
    (worker,) = found.workers
    assert (worker.kind, worker.pid, worker.processes, worker.uptime) == ("hotplate", 7, 2, 60.0)
    assert (worker.done, worker.failed, worker.retried, worker.parked, worker.running) == (9, 2, 1, 3, 1)
    assert worker.queues == ("celery", "mail")
    assert found.running == (RunningTask(id="1", task="shop.mail", seconds=2.5, worker=OURS),)
    assert found.rates == Rates(done=6, failed=2, retried=1)


def test_rates_add_up() -> None:
    """Rates are those of all workers that tell."""
    told = counts(rates=counting.Rates(5, 3, 1, 0))
    assert understand(heard(counts={"hotplate-a": told, "hotplate-b": told}), NOW).rates == Rates(
        done=6, failed=2, retried=0
    )


def test_celerys_own() -> None:
    """A worker that Celery's command started tells what runs; what it does not tell is not made up."""
    task = {"id": "1", "name": "shop.mail", "time_start": NOW - 4}
    found = understand(heard(active={"celery@there": [task]}, stats={"celery@there": {"pid": 8}}), NOW)
    (worker,) = found.workers
    assert (worker.kind, worker.pid, worker.running, worker.done, worker.processes) == ("celery", 8, 1, None, None)
    assert found.running[0].seconds == 4.0
    assert found.rates == Rates()


def test_longest_first() -> None:
    """What has been running longest is shown first; a clock that is ahead makes no time negative."""
    tasks = [{"id": each, "name": "t", "time_start": start} for each, start in (("a", NOW + 5), ("b", NOW - 9))]
    tasks.append({"id": "c", "name": "t", "time_start": None})
    found = understand(heard(active={"celery@there": tasks}), NOW)
    assert [(task.id, task.seconds) for task in found.running] == [("b", 9.0), ("a", 0.0), ("c", None)]


def test_strange_answers() -> None:
    """An answer that is an error, or of another version, does not stop the rest from being shown."""
    broken = {"error": "KeyError('hotplate_counts')"}
    found = understand(
        heard(counts={OURS: {"succeeded": "many"}}, active={OURS: broken, "b": None}, stats={OURS: "no", "b": broken}),
        NOW,
    )
    assert [(worker.name, worker.running, worker.done) for worker in found.workers] == [("b", 0, None), (OURS, 0, None)]
