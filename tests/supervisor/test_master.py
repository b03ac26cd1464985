"""The master: whatever its workers and generations do, every slot is served, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import control
from tests.supervisor.instance import Instance, answer, is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process


# The start


def test_serves_when_every_worker_is_warm(instance: Instance) -> None:
    """It says that it serves after every worker said that it is ready, and answers from all of them."""
    instance.start("workers=3").serving()
    kinds = [event["type"] for event in instance.events()]
    assert kinds.index("Serving") > max(place for place, kind in enumerate(kinds) if kind == "WorkerReady")
    assert kinds.count("WorkerReady") == 3
    status = instance.status()
    assert status.state == "serving"
    assert status.healthy
    assert sorted(instance.warm()) == [0, 1, 2]
    wait_until(lambda: len({instance.get()["slot"] for _ in range(12)}) == 3, what="every slot answers")


def test_nobody_is_let_in_before_the_first_worker_is_warm(instance: Instance) -> None:
    """Whoever connects while the app is imported is refused, and so tries elsewhere or again."""
    instance.script(**{"import": "hang"})
    instance.start()
    instance.event("Listening")
    with pytest.raises(ConnectionRefusedError):
        instance.connect()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ({"import": "fail"}, ExitCode.APP_IMPORT_FAILED, "Cannot import app: the script says so. Change the script."),
        ({"import": "die"}, ExitCode.WORKER_BOOT_FAILED, "ended with exit status 7 before it was ready"),
        ({"boot": "fail"}, ExitCode.WARMUP_FAILED, "Cannot warm worker 0 up"),
        ({"boot": "die"}, ExitCode.WORKER_BOOT_FAILED, "was killed by SIGKILL before it was ready"),
        ({"fail_slot": 1}, ExitCode.WARMUP_FAILED, "Cannot warm worker 1 up"),
        ({"import": "hang"}, ExitCode.WORKER_BOOT_FAILED, "it was not ready after 1 s"),
        ({"boot": "hang"}, ExitCode.WORKER_BOOT_FAILED, "it was not ready after 1 s"),
        ({"private": 1 << 50}, ExitCode.NO_MEMORY, "Cannot start a worker"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    instance: Instance, script: dict[str, object], code: ExitCode, words: str
) -> None:
    """The master ends with the cause's line and exit code, and so does everything it started."""
    instance.script(**script)
    instance.start("boot_timeout=1s" if "hang" in script.values() else "boot_timeout=60s")
    assert instance.wait() == code
    assert words in instance.errors.read_text()
    started = [event["pid"] for kind in ("WorkerReady", "GenerationImported") for event in instance.events(kind)]
    wait_until(lambda: not any(map(is_alive, started)), what="nothing is left")
    assert not list(Path(instance.runtime).glob("hotplate/*"))


def test_an_app_that_must_not_be_forked_is_imported_by_each_worker(instance: Instance) -> None:
    """A generation that refuses to be forked is followed by one that does not preload."""
    instance.script(**{"import": "refuse"})
    instance.start().serving()
    assert instance.event("PreloadGivenUp")["reasons"] == ["a thread named ticker"]
    assert instance.event("GenerationImported")["preloaded"] is False
    assert not instance.status().preloaded


def test_a_second_instance_in_the_folder_is_refused(instance: Instance, tmp_path: Path) -> None:
    """One instance per folder and name; the refusal names the first, which goes on, and another name is welcome."""
    instance.start().serving()
    other = Instance(tmp_path)
    shutil.rmtree(other.runtime)
    other.runtime = instance.runtime
    other.errors = tmp_path / "other.txt"
    other.log = tmp_path / "other.jsonl"
    assert other.start().wait() == ExitCode.ALREADY_RUNNING
    assert f"(pid {instance.pid})" in other.errors.read_text()
    try:
        other.start("name=second").serving()
    finally:
        other.runtime = tempfile.mkdtemp(prefix="hp")
        other.end()
    assert instance.get()["slot"] in {0, 1}


def test_a_second_instance_on_the_port_is_refused(instance: Instance, tmp_path: Path) -> None:
    """A port in use is refused with the name of who has it, although it could be shared in silence."""
    instance.start().serving()
    folder = tmp_path / "other"
    folder.mkdir()
    other = Instance(folder)
    assert other.start(f"bind=127.0.0.1:{instance.port}").wait() == ExitCode.PORT_UNAVAILABLE
    other.end()
    assert "the port is in use by" in other.errors.read_text()


def test_a_folder_whose_instance_was_killed_can_be_used_again(instance: Instance) -> None:
    """What a killed master leaves lying does not stand in the way of the next."""
    instance.start().serving()
    instance.signal(signal.SIGKILL)
    instance.wait()
    instance.log.unlink()
    instance.start().serving()
    assert instance.get()["slot"] in {0, 1}


# Deaths


@pytest.mark.parametrize("how", ["killed", "exits", "talks nonsense", "talks out of turn"])
def test_a_worker_that_dies_is_replaced(instance: Instance, how: str) -> None:
    """Whatever a worker does to itself or says to the master: its slot is served again, and the other goes on."""
    instance.start("bind=127.0.0.1:0").serving()
    before = instance.warm()
    if how == "killed":
        os.kill(before[1].pid, signal.SIGKILL)
    else:
        deed = {"exits": "/exit", "talks nonsense": "/garbage", "talks out of turn": "/ready-again"}[how]
        instance.get_from(1, deed)
    wait_until(lambda: instance.warm().get(1, before[1]).pid != before[1].pid, what="another serves the slot")
    assert instance.warm()[0].pid == before[0].pid
    wait_until(lambda: not is_alive(before[1].pid), what="the old worker is gone")
    died = instance.event("WorkerDied")
    assert (died["slot"], died["pid"]) == (1, before[1].pid)
    assert died["status"] == (3 if how == "exits" else -9)
    assert bool(instance.events("WorkerMisbehaved")) == how.startswith("talks")
    assert instance.status().healthy


def test_killing_workers_by_hand_is_no_crash_loop(instance: Instance) -> None:
    """However often somebody kills a worker, even one that has not answered anything yet: the next comes at once."""
    instance.start("workers=1").serving()
    for _ in range(12):
        victim = instance.warm()[0].pid
        os.kill(victim, signal.SIGKILL)
        instance.wait_for_another_than(victim)
    assert not instance.events("CrashLoop")


def test_no_queued_connection_is_lost_with_a_worker(instance: Instance) -> None:
    """Connections queued at a worker that is stopped, then killed, are answered by its successor."""
    instance.start("workers=1").serving()
    pid = instance.warm()[0].pid
    os.kill(pid, signal.SIGSTOP)
    connections = [instance.connect() for _ in range(5)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    os.kill(pid, signal.SIGKILL)
    answers = [answer(connection) for connection in connections]
    for connection in connections:
        connection.close()
    assert {each["serial"] for each in answers} == {2}


def test_a_crash_loop_waits_longer_and_longer_and_says_so(instance: Instance) -> None:
    """Replacements that do not get ready are tried again after growing waits, while the other worker serves."""
    instance.start().serving()
    instance.script(fail_slot=1)
    generation = instance.status().generation_pid
    os.kill(generation, signal.SIGKILL)
    instance.event("BootRefused")
    victim = instance.warm().get(1)
    if victim:
        os.kill(victim.pid, signal.SIGKILL)
    instance.event("CrashLoop", 4)
    waits = [event["wait"] for event in instance.events("CrashLoop")][:4]
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]
    assert instance.get()["slot"] == 0
    status = instance.status()
    assert (status.state, status.healthy) == ("degraded", False)


def test_a_dead_generation_is_followed_by_another(instance: Instance) -> None:
    """Its workers serve on until workers of the new one are ready, and are then replaced one by one."""
    instance.start().serving()
    before = instance.status()
    os.kill(before.generation_pid, signal.SIGKILL)
    assert instance.event("GenerationDied")["status"] == -9
    assert instance.get()["slot"] in {0, 1}
    wait_until(
        lambda: sorted(worker.generation for worker in instance.warm().values()) == [2, 2],
        what="both slots are served from the new generation",
    )
    wait_until(lambda: not any(is_alive(worker.pid) for worker in before.workers), what="the old workers are gone")
    assert not instance.events("WorkerDied")


def test_an_orphaned_worker_that_dies_is_noticed(instance: Instance) -> None:
    """A worker whose generation is dead, and cannot be replaced, is still missed when it dies."""
    instance.start().serving()
    instance.script(**{"import": "fail"})
    os.kill(instance.status().generation_pid, signal.SIGKILL)
    instance.event("GenerationRefused")
    victim = instance.warm()[0].pid
    os.kill(victim, signal.SIGKILL)
    died = instance.event("WorkerDied")
    assert (died["pid"], died["status"]) == (victim, -9)
    instance.script(version="2")
    wait_until(lambda: instance.status().healthy, what="it is whole again")
    assert instance.get()["version"] == "2"


# Workers that ask for it


@pytest.mark.parametrize(("deed", "event"), [("/hung", "RequestHung"), ("/outgrown", "WorkerOutgrown")])
def test_a_worker_that_asks_for_it_is_relieved(instance: Instance, deed: str, event: str) -> None:
    """Its replacement serves first; then it drains, and the request it has in flight is answered."""
    instance.start("workers=1").serving()
    before = instance.warm()[0].pid
    with instance.slow() as slow:
        assert instance.get(deed)["pid"] == before
        assert instance.event(event)["pid"] == before
        instance.wait_for_another_than(before)
        assert is_alive(before)
        assert slow.finish()["pid"] == before
    wait_until(lambda: not is_alive(before), what="the old worker is gone")
    assert not instance.events("WorkerDied")


def test_a_worker_that_goes_silent_is_killed_and_replaced(instance: Instance) -> None:
    """No sign of life for `timeout`: it is told to write its stacks, killed, and replaced."""
    instance.start("workers=1", "timeout=1s").serving()
    silent = instance.get("/silent")["pid"]
    assert instance.event("WorkerStuck")["pid"] == silent
    instance.wait_for_another_than(silent)
    assert instance.get()["pid"] != silent


def test_connections_go_round_a_worker_that_is_stuck(instance: Instance) -> None:
    """Long before its time-out, new connections are sent to those that show signs of life."""
    instance.start("timeout=10m").serving()
    stuck = instance.warm()[0].pid
    os.kill(stuck, signal.SIGSTOP)
    held = [instance.connect() for _ in range(4)]

    def all_go_round() -> bool:
        with instance.connect() as connection:
            held.append(connection.dup())
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            connection.settimeout(0.2)
            try:
                return bool(answer(connection)["slot"] == 1)
            except TimeoutError:
                return False

    wait_until(all_go_round, what="a connection meets the other worker")
    wait_until(lambda: all(all_go_round() for _ in range(8)), what="all connections meet the other worker")
    os.kill(stuck, signal.SIGCONT)
    wait_until(lambda: {instance.get()["slot"] for _ in range(8)} == {0, 1}, what="it is back")
    for connection in held:
        connection.close()


# Orders


@pytest.mark.parametrize("how", ["order", "signal"])
def test_reload_brings_the_new_version_everywhere(instance: Instance, how: str) -> None:
    """Every slot moves to the new generation; requests in flight are answered by the old, which then ends."""
    instance.start().serving()
    before = instance.status()
    instance.script(version="2")
    with instance.slow() as slow:
        if how == "order":
            done = instance.ask(control.Reload())
            assert isinstance(done, control.ReloadDone)
            assert (done.generation, done.workers) == (2, 2)
        else:
            instance.signal(signal.SIGHUP)
        assert instance.event("Reloaded")["generation"] == 2
        assert {instance.get()["version"] for _ in range(8)} == {"2"}
        assert slow.finish()["version"] == "1"
    gone = [before.generation_pid, *(worker.pid for worker in before.workers)]
    wait_until(lambda: not any(map(is_alive, gone)), what="nothing of the old version is left")
    assert not instance.events("WorkerDied")
    assert not instance.events("GenerationDied")


@pytest.mark.parametrize(
    "script", [{"import": "fail"}, {"import": "die"}, {"boot": "fail"}, {"boot": "die"}, {"fail_slot": 1}]
)
def test_a_reload_that_fails_leaves_the_old_version_serving(instance: Instance, script: dict[str, object]) -> None:
    """Whenever the new version fails, every slot is served by the old one, and the order is refused with the reason."""
    instance.start().serving()
    instance.script(version="2", **script)
    with pytest.raises(HotplateError, match=r"^Cannot reload: the new version cannot .*still serving\.$") as refused:
        instance.ask(control.Reload())
    assert refused.value.code == ExitCode.RELOAD_FAILED
    assert {instance.get()["version"] for _ in range(8)} == {"1"}
    status = instance.status()
    assert (status.state, status.generation, status.healthy) == ("serving", 1, True)
    wait_until(lambda: len(instance.family()) == 3, what="only the old generation and its two workers are left")
    assert instance.event("ReloadFailed")["failure"]["code"] == ExitCode.RELOAD_FAILED
    instance.script(version="3")
    instance.ask(control.Reload())
    assert {instance.get()["version"] for _ in range(8)} == {"3"}


def test_workers_come_and_go_by_signal(instance: Instance) -> None:
    """TTIN adds a worker, TTOU removes the last one after its requests; the only one stays."""
    instance.start("workers=1").serving()
    instance.signal(signal.SIGTTIN)
    assert instance.event("Scaled")["workers"] == 2
    wait_until(lambda: {instance.get()["slot"] for _ in range(8)} == {0, 1}, what="both slots answer")
    second = instance.warm()[1].pid
    instance.signal(signal.SIGTTOU)
    assert instance.event("Scaled", 2)["workers"] == 1
    wait_until(lambda: not is_alive(second), what="the second worker is gone")
    assert {instance.get()["slot"] for _ in range(8)} == {0}
    instance.signal(signal.SIGTTOU)
    assert "at least one" in instance.event("ScaleRefused")["failure"]["cause"]
    assert instance.get()["slot"] == 0
    instance.ask(control.Scale(by=2))
    wait_until(lambda: {instance.get()["slot"] for _ in range(12)} == {0, 1, 2}, what="three slots answer")


def test_reserved_signals_do_nothing(instance: Instance) -> None:
    """USR1 and USR2, which other servers use, are harmless."""
    instance.start("workers=1").serving()
    pid = instance.warm()[0].pid
    instance.signal(signal.SIGUSR1)
    instance.signal(signal.SIGUSR2)
    assert instance.get()["pid"] == pid
    assert instance.status().healthy


def test_the_master_knows_neither_app_nor_server() -> None:
    """Nothing that an app or the data plane brings along is loaded into the master."""
    loaded = "import sys, hotplate.supervisor.master; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True, text=True).stdout.split()
    assert not {"granian", "uvloop", "flask", "sqlalchemy", "hotplate.apps", "hotplate.gateway.server"} & set(names)
