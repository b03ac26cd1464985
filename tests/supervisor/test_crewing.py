"""The crew beside the web workers: who is wanted, how many tasks at once, and by which name a broker knows them."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest

from hotplate.machine import Memory, sizing
from hotplate.machine.cores import Cores
from hotplate.settings import Settings
from hotplate.supervisor import crewing, tasksplace
from hotplate.supervisor.events import Event
from hotplate.supervisor.messages import Fork, TasksFound
from hotplate.supervisor.slots import Slot
from hotplate.supervisor.tally import Tally
from hotplate.supervisor.workerlink import WorkerLink

GIB = 1024**3
FOUR = Cores(4, "4 cores")


def found(*, schedule: bool) -> TasksFound:
    """Return what a version of the app has."""
    return TasksFound("shop", 2, schedule=schedule, broker="redis://cache")


BEATS: tuple[Literal["auto", "on", "off"], ...] = ("auto", "on", "off")


@pytest.mark.parametrize(("beat", "runs", "schedule"), list(itertools.product(BEATS, [True, False], [True, False])))
def test_who_is_wanted(beat: Literal["auto", "on", "off"], runs: bool, schedule: bool) -> None:
    """Tasks unless refused; a beat where it is asked for, or there is a schedule and tasks are run."""
    settings = Settings(beat=beat, task_workers="auto" if runs else 0)
    roles = crewing.wanted(settings, found(schedule=schedule))
    assert ("tasks" in roles) == runs
    assert ("beat" in roles) == (beat == "on" or (beat == "auto" and schedule and runs))
    assert crewing.wanted(settings, None) == ()


def test_an_app_without_tasks_takes_none_unless_told_to() -> None:
    """What it sends is for others to run; its schedule is sent from here all the same."""
    sends = msgspec.structs.replace(found(schedule=True), tasks=0)
    assert crewing.wanted(Settings(), sends) == ("beat",)
    assert crewing.wanted(Settings(task_workers=1), sends) == ("tasks", "beat")
    assert crewing.wanted(Settings(), crewing.UNKNOWN) == ("tasks",)


def test_functions_that_choose_queues_are_told_of() -> None:
    """With all that has to be typed; not where the queues were named, or no tasks are taken."""
    routed = msgspec.structs.replace(found(schedule=False), queues=("celery", "mail"), routers=("shop.route",))
    (text,) = crewing.cautions(Settings(), routed)
    assert "shop.route" in text
    assert text.endswith("--task-queues celery,mail,others")
    for settings in (Settings(task_queues=("mail",)), Settings(task_workers=0)):
        assert crewing.cautions(settings, routed) == ()
    assert crewing.cautions(Settings(), None) == ()


@pytest.mark.parametrize(
    ("settings", "queues", "told"),
    [
        (Settings(), ("celery",), ""),
        (Settings(), ("celery", "mail"), ", from celery, mail;"),
        (Settings(task_queues=("mail",)), ("celery", "mail"), ", from mail;"),
        (Settings(task_workers=0), ("celery", "mail"), ""),
    ],
)
def test_queues_are_told_where_there_is_more_than_the_default(
    settings: Settings, queues: tuple[str, ...], told: str
) -> None:
    """In the line that says how the tasks are run."""
    said: list[Event] = []
    fleet: Any = SimpleNamespace(settings=settings, tasks=None, emit=said.append)
    crewing.decide(fleet, msgspec.structs.replace(found(schedule=False), queues=queues))
    assert told in str(said[0])
    assert (", from " in str(said[0])) == bool(told)


@pytest.mark.parametrize(
    ("limit", "each", "base", "tasks", "warns"),
    [
        (64 * GIB, GIB, 0, 4, False),  # one per core
        (64 * GIB, 0, 0, 4, False),  # not measured
        (10 * GIB, GIB, 5 * GIB, 3, False),  # nine tenths, less the base, less the one that hands tasks out
        (10 * GIB, GIB, 7 * GIB, 1, False),
        (10 * GIB, GIB, 8 * GIB, 1, True),
        (10 * GIB, GIB, 20 * GIB, 1, True),  # the web serves whatever there is
    ],
)
def test_tasks_take_what_memory_leaves(limit: int, each: int, base: int, tasks: int, warns: bool) -> None:
    """As many as fit beside the web workers, but one at least, with a warning where that does not fit."""
    decision = sizing.tasks(FOUR, Memory(limit, "machine"), each, base)
    assert decision.value == tasks
    assert bool(decision.warning) == warns


def test_a_number_that_was_asked_for_is_honoured() -> None:
    """With a warning where memory does not suffice."""
    memory = Memory(10 * GIB, "machine")
    assert sizing.tasks(FOUR, memory, GIB, 0, 6) == sizing.Decision(6, "asked for")
    assert "12 tasks at once do not fit" in sizing.tasks(FOUR, memory, GIB, 0, 12).warning


def test_the_celery_apps_own_number_counts_where_nobody_asked() -> None:
    """worker_concurrency is what its user decided before."""
    own = msgspec.structs.replace(found(schedule=False), concurrency=7)
    assert crewing.at_once(Settings(), own).value == 7
    assert crewing.at_once(Settings(task_workers=2), own).value == 2


def test_a_successor_takes_its_predecessors_name_only_when_that_is_dead() -> None:
    """Brokers give what the dead held to whoever has their name; the living must keep what they hold."""
    slot = Slot(0, "tasks", 2)
    seats: list[int] = []

    def seat() -> None:
        seats.append(slot.next_turn())
        link: Any = SimpleNamespace(order=Fork(0, 1, 0, "tasks", 2, seats[-1]))
        worker: WorkerLink = link
        slot.seat(worker)

    seat()  # the start
    slot.vacate()  # it died
    seat()
    seat()  # a reload: the one before drains
    slot.vacate()  # the new one died, while the old may still drain
    seat()
    assert seats == [0, 0, 1, 1]


def test_the_tally_is_what_the_tasks_process_counts() -> None:
    """Every figure of Celery's side arrives in the status under the same name."""
    from hotplate.tasks.worker.counting import Counts, Rates, Running

    counts = Counts(received=3, running=(Running("1", "a.b", 2.0, 7),), rates=Rates(1, 2, 3, 4), processes=(7, 8))
    assert msgspec.to_builtins(msgspec.convert(counts, Tally, from_attributes=True)) == msgspec.to_builtins(counts)


@pytest.mark.parametrize(
    ("settings", "environ", "told"),
    [
        (Settings(), {}, {}),
        (Settings(tasks_dir="/var/tasks"), {}, {"HOTPLATE_TASKS_DIR": "/var/tasks"}),
        (Settings(tasks_dir="tasks"), {}, {"HOTPLATE_TASKS_DIR": "/srv/shop/tasks"}),
        (Settings(broker_url="amqp://q"), {"CELERY_BROKER_URL": "amqp://q"}, {}),
        (Settings(), {"CELERY_BROKER_URL": "amqp://q"}, {"CELERY_BROKER_URL": ""}),
    ],
)
def test_processes_are_told_where_the_tasks_are(
    settings: Settings, environ: dict[str, str], told: dict[str, str]
) -> None:
    """What flags and files say arrives as variables; `off` takes back what a platform has set."""
    from pathlib import Path

    assert tasksplace.variables(settings, Path("/srv/shop"), environ) == told
