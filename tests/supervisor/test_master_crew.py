"""The master and the crew beside its web workers: started after them, reloaded before them, never in their way."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import control
from hotplate.supervisor.report import CrewReport
from tests.supervisor.instance import Instance, is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process


def crew(instance: Instance) -> dict[str, CrewReport]:
    """Return who is ready, by role."""
    tasks = instance.status().tasks
    return {each.role: each for each in tasks.crew if each.state == "ready"} if tasks else {}


def until_well(instance: Instance) -> dict[str, CrewReport]:
    """Wait until everybody is warm; returns the crew."""
    wait_until(lambda: instance.status().healthy, what="everybody is warm")
    return crew(instance)


def test_the_crew_comes_after_the_web_workers(instance: Instance) -> None:
    """It serves first; starting, not degraded, is what the status says until the crew is there."""
    instance.script(tasks="scheduled")
    instance.start("task_workers=3").serving()
    assert sorted(until_well(instance)) == ["beat", "tasks"]
    kinds = [(event["type"], event.get("role", "")) for event in instance.events()]
    assert kinds.index(("TasksDecided", "")) < kinds.index(("Serving", "")) < kinds.index(("WorkerReady", "tasks"))
    tasks = instance.status().tasks
    assert tasks
    assert (tasks.celery, tasks.workers, tasks.workers_why, tasks.beat) == ("shop", 3, "asked for", True)
    wait_until(
        lambda: crew(instance)["tasks"].tally.processes == (3, 0), what="it was told how many, in its first turn"
    )
    assert len(instance.warm()) == 2


def test_an_app_without_tasks_has_no_crew(instance: Instance) -> None:
    """And nothing is said of any."""
    instance.start().serving()
    assert instance.status().tasks is None
    assert not instance.events("TasksDecided")


@pytest.mark.parametrize("role", ["tasks", "beat"])
def test_who_dies_is_replaced(instance: Instance, role: str) -> None:
    """The others go on; the name of the dead is its successor's."""
    instance.script(tasks="scheduled")
    instance.start().serving()
    before = until_well(instance)
    web = {worker.pid for worker in instance.warm().values()}
    os.kill(before[role].pid, signal.SIGKILL)
    wait_until(lambda: crew(instance).get(role, before[role]).pid != before[role].pid, what="another does it")
    died = instance.event("WorkerDied")
    assert (died["role"], died["pid"]) == (role, before[role].pid)
    assert {worker.pid for worker in instance.warm().values()} == web
    after = until_well(instance)
    assert after[role].restarts == 1
    if role == "tasks":
        wait_until(lambda: crew(instance)["tasks"].tally.processes[1:] == (0,), what="the same turn")


@pytest.mark.parametrize("how", ["fail", "die"])
def test_who_cannot_boot_leaves_the_web_alone(instance: Instance, how: str) -> None:
    """It is tried again after growing waits; the status is unhealthy meanwhile."""
    instance.script(tasks="on", boot_tasks=how)
    instance.start().serving()
    instance.event("CrashLoop", 3)
    waits = [event["wait"] for event in instance.events("CrashLoop")]
    assert waits == sorted(waits)
    assert {event["role"] for event in instance.events("BootRefused")} == {"tasks"}
    status = instance.status()
    assert (status.state, status.healthy) == ("degraded", False)
    assert instance.get()["slot"] in {0, 1}
    instance.script(tasks="on", version="2")
    assert isinstance(instance.ask(control.Reload()), control.ReloadDone)
    until_well(instance)


def test_a_reload_has_the_new_crew_first(instance: Instance) -> None:
    """The new tasks process is ready before the last web worker, and has a turn of its own while the old one drains."""
    instance.script(tasks="scheduled")
    instance.start().serving()
    before = until_well(instance)
    instance.script(tasks="scheduled", version="2")
    assert isinstance(instance.ask(control.Reload()), control.ReloadDone)
    after = until_well(instance)
    assert {each.generation for each in after.values()} == {2}
    assert not {each.pid for each in after.values()} & {each.pid for each in before.values()}
    wait_until(lambda: crew(instance)["tasks"].tally.processes[1:] == (1,), what="another turn")
    events = instance.events()
    reloading = next(place for place, event in enumerate(events) if event["type"] == "Reloading")
    ready = [event["role"] for event in events[reloading:] if event["type"] == "WorkerReady"]
    assert ready == ["web", "tasks", "beat", "web"]
    wait_until(lambda: not any(is_alive(each.pid) for each in before.values()), what="the old ones have gone")
    assert not instance.events("WorkerDied")


@pytest.mark.parametrize("fault", [{"boot_tasks": "fail"}, {"boot_beat": "die"}, {"fail_slot": 1}])
def test_a_version_that_fails_leaves_web_and_crew_as_they_were(instance: Instance, fault: dict[str, object]) -> None:
    """Whoever of the new version does not come up: all of the old one goes on, and nothing of the new is left."""
    instance.script(tasks="scheduled")
    instance.start().serving()
    before = until_well(instance)
    instance.script(tasks="scheduled", version="2", **fault)
    with pytest.raises(HotplateError) as caught:
        instance.ask(control.Reload())
    assert caught.value.code == ExitCode.RELOAD_FAILED
    assert {role: each.pid for role, each in until_well(instance).items()} == {
        role: each.pid for role, each in before.items()
    }
    assert instance.get()["version"] == "1"
    wait_until(
        lambda: {worker.generation for worker in instance.status().workers} == {1}, what="nothing of the new is left"
    )


def test_a_version_gains_and_loses_tasks(instance: Instance) -> None:
    """Their processes come and go with the code; a failed version that had some leaves none behind."""
    instance.start().serving()
    for tasks, roles in (
        ("scheduled", ["beat", "tasks"]),
        ("on", ["tasks"]),
        ("", []),
        ("scheduled", ["beat", "tasks"]),
    ):
        instance.script(tasks=tasks)
        instance.ask(control.Reload())
        assert sorted(until_well(instance)) == roles
    assert [event["role"] for event in instance.events("TasksLeft")] == ["beat", "tasks"]


def test_an_app_that_only_sends_tasks_takes_none(instance: Instance) -> None:
    """Others are to run them; a version that has some decides anew how many run at once, and back again."""
    instance.script(tasks="sends")
    instance.start().serving()
    assert until_well(instance) == {}
    tasks = instance.status().tasks
    assert tasks
    assert (tasks.known, tasks.workers) == (0, 0)
    assert "none of its own" in tasks.workers_why
    instance.script(tasks="on")
    instance.ask(control.Reload())
    assert sorted(until_well(instance)) == ["tasks"]
    decided = instance.status().tasks
    assert decided
    assert decided.workers > 0
    wait_until(
        lambda: crew(instance)["tasks"].tally.processes[:1] == (decided.workers,), what="as many at once as was decided"
    )
    instance.script(tasks="sends")
    instance.ask(control.Reload())
    assert until_well(instance) == {}
    tasks = instance.status().tasks
    assert tasks
    assert tasks.workers == 0
    assert [event["role"] for event in instance.events("TasksLeft")] == ["tasks"]


def test_who_asks_for_it_takes_tasks_without_having_any(instance: Instance) -> None:
    """A number is an order."""
    instance.script(tasks="sends")
    instance.start("task_workers=1").serving()
    assert sorted(until_well(instance)) == ["tasks"]


def test_what_the_user_should_know_is_told_once(instance: Instance) -> None:
    """At the start, and by a reload what is new."""
    instance.script(tasks="on", cautions=["one"])
    instance.start().serving()
    for cautions in (["one"], ["one", "two"], ["two"]):
        instance.script(tasks="on", cautions=cautions)
        instance.ask(control.Reload())
    assert [event["text"] for event in instance.events("Caution") if event["text"] in {"one", "two"}] == ["one", "two"]


def test_a_failed_version_with_tasks_leaves_none(instance: Instance) -> None:
    """The status does not speak of tasks that nobody has."""
    instance.start().serving()
    instance.script(tasks="on", fail_slot=1)
    with pytest.raises(HotplateError):
        instance.ask(control.Reload())
    assert instance.status().tasks is None


def test_the_crew_outlives_its_generation(instance: Instance) -> None:
    """As web workers do; then it is relieved by the next one's."""
    instance.script(tasks="on")
    instance.start().serving()
    before = until_well(instance)["tasks"]
    os.kill(instance.status().generation_pid, signal.SIGKILL)
    wait_until(lambda: crew(instance)["tasks"].generation == 2, what="it is of the next generation")
    assert not instance.events("WorkerDied")
    wait_until(lambda: not is_alive(before.pid), what="the old one has gone")


def test_the_end_takes_the_crew_along(instance: Instance) -> None:
    """Nothing is left behind."""
    instance.script(tasks="scheduled")
    instance.start().serving()
    until_well(instance)
    family = instance.family()
    instance.signal(signal.SIGTERM)
    assert instance.wait() == ExitCode.OK
    assert instance.event("Draining")["tasks"] is True
    wait_until(lambda: not any(map(is_alive, family)), what="all have gone")


def test_asleep_the_crew_is_awake(instance: Instance) -> None:
    """Web workers sleep by themselves, and are back with the first connection, of the same generation."""
    instance.script(tasks="on")
    instance.start("idle_timeout=1s").serving()
    instance.event("Asleep")
    wait_until(lambda: not instance.status().workers, what="the web workers have gone")
    pid = crew(instance)["tasks"].pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: crew(instance).get("tasks"), what="who dies is replaced all the same")
    assert instance.status().state == "asleep"
    assert instance.get()["slot"] in {0, 1}
    assert until_well(instance)
    assert len(instance.events("GenerationImported")) == 1


def test_a_machine_for_tasks_has_no_listener(instance: Instance) -> None:
    """Not even one that is only bound, and no web worker."""
    instance.script(tasks="scheduled")
    instance.start("only=tasks")
    assert instance.event("TasksServing")["beat"] is True
    assert sorted(until_well(instance)) == ["beat", "tasks"]
    status = instance.status()
    assert (status.slots, status.workers, status.binds) == (0, (), ())
    assert not instance.events("Listening")
    with pytest.raises(HotplateError, match="only runs tasks"):
        instance.ask(control.Scale(1))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({}, ExitCode.ATTRIBUTE_MISSING),
        ({"tasks": "sends"}, ExitCode.ATTRIBUTE_MISSING),
        ({"tasks": "on", "boot_tasks": "fail"}, ExitCode.WARMUP_FAILED),
    ],
)
def test_a_machine_for_tasks_that_has_none_does_not_start(
    instance: Instance, script: dict[str, object], code: ExitCode
) -> None:
    """It ends with the cause's line and exit code, as a web machine does."""
    instance.script(**script)
    instance.start("only=tasks")
    try:
        assert instance.wait() == code
    except subprocess.TimeoutExpired:
        pytest.fail(instance.errors.read_text())
