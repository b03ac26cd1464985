"""Who survives when something is killed, hangs, grows or is told to go."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil

from tests.support.instance import HELLO, Instance, Load, instance
from tests.support.waiting import wait_until

HANGING = (
    HELLO
    + """
@app.get("/hang")
def hang():
    threading.Event().wait()
"""
)
CRASHING = (
    HELLO
    + """
if os.path.exists("crash"):
    os.kill(os.getpid(), 9)
"""
)


def test_a_killed_worker_is_replaced_and_only_its_requests_are_lost(tmp_path: Path) -> None:
    """What fails is at most what the killed worker had in flight: one request per connection."""
    with instance(tmp_path, HELLO, "--workers", "2") as site, Load(site, clients=4) as load:
        for _ in range(3):
            victim = site.workers()[0]
            os.kill(victim, signal.SIGKILL)
            _until_replaced(site, 0, victim)
            load.more()
        assert len(load.failures) <= 3 * 4


def test_a_dead_generation_is_replaced_and_its_workers_serve_on(tmp_path: Path) -> None:
    """Workers do not need the process they were forked from."""
    with instance(tmp_path, HELLO, "--workers", "2") as site, Load(site) as load:
        old = site.status()["generation_pid"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: site.status()["generation_pid"] not in {0, old}, what="there is a new generation")
        load.more()
        assert load.failures == []
        victim = site.workers()[1]
        os.kill(victim, signal.SIGKILL)
        _until_replaced(site, 1, victim)


def test_workers_of_a_killed_master_finish_and_go(tmp_path: Path) -> None:
    """Nobody is left behind: what is in flight is answered, then the workers end."""
    with instance(tmp_path, HELLO, "--workers", "2") as site:
        processes = site.tree()
        with site.held() as answers:
            site.process.kill()
        assert answers == [b"1"]
        wait_until(lambda: not any(_alive(process) for process in processes[1:]), what="all have gone")


def test_a_crash_loop_backs_off_and_says_so(tmp_path: Path) -> None:
    """A version whose workers die at once does not burn the machine; the master survives it."""
    with instance(tmp_path, CRASHING, "--workers", "1", "--preload", "off") as site:
        (tmp_path / "crash").touch()
        os.kill(site.workers()[0], signal.SIGKILL)
        site.until_logged("in short order")
        assert not site.ended()
        assert site.command("status").returncode == 14
        (tmp_path / "crash").unlink()
        site.until_healthy()
        assert site.get().body == b"1"


def test_a_hung_request_ends_alone(tmp_path: Path) -> None:
    """Its client gets 504, its stack is in the log, its worker is replaced when the other requests in it are done."""
    with instance(tmp_path, HANGING, "--workers", "1", "--timeout", "5s", "--threads", "4") as site:
        first = site.workers()[0]
        hung: list[int] = []
        hanging = threading.Thread(target=lambda: hung.append(site.get("/hang").status))
        hanging.start()
        wait_until(lambda: site.status()["totals"]["in_flight"] == 1, what="it hangs")
        hanging.join(60)
        assert hung == [504]
        _until_replaced(site, 0, first)
        assert site.get().body == b"1"
        assert "threading.Event().wait()" in site.log
        wait_until(lambda: not psutil.pid_exists(first), what="the hung worker is gone")


def test_a_worker_is_recycled_without_loss(tmp_path: Path) -> None:
    """`--max-requests` replaces a worker only when its replacement is ready."""
    with instance(tmp_path, HELLO, "--workers", "2", "--max-requests", "200") as site:
        before = site.workers()
        with Load(site) as load:
            wait_until(lambda: not set(before.values()) & set(site.workers().values()), what="both are recycled")
            load.more()
        assert load.failures == []


def test_stop_lets_requests_finish(tmp_path: Path) -> None:
    """`hotplate stop` returns when all is over; what was in flight was answered."""
    with instance(tmp_path, HELLO, "--workers", "2") as site:
        processes = site.tree()
        stop = threading.Thread(target=lambda: site.command("stop"))
        with site.held() as answers:
            stop.start()
            site.until_logged("Stopping")
        stop.join(60)
        assert answers == [b"1"]
        wait_until(lambda: not any(_alive(process) for process in processes), what="all have gone")
        assert site.process.wait(60) == 0
        assert site.command("status").returncode == 11


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """An impatient operator is obeyed, and nobody is left behind."""
    (tmp_path / "hold").touch()
    with instance(tmp_path, HELLO, "--workers", "2") as site:
        processes = site.tree()
        held = site.connect()
        held.request("GET", "/hold")
        wait_until(lambda: site.status()["totals"]["in_flight"] == 1, what="the request is in flight")
        site.process.send_signal(signal.SIGTERM)
        site.until_logged("Stopping")
        assert not site.ended()
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not any(_alive(process) for process in processes), what="all have gone")
        held.close()


def test_workers_are_added_and_removed_by_signal(tmp_path: Path) -> None:
    """TTIN adds a worker, TTOU removes one, and no request is lost."""
    with instance(tmp_path, HELLO, "--workers", "1") as site, Load(site) as load:
        site.process.send_signal(signal.SIGTTIN)
        wait_until(lambda: len(site.workers()) == 2, what="there are two")
        load.more()
        site.process.send_signal(signal.SIGTTOU)
        wait_until(lambda: len(site.status()["workers"]) == 1, what="there is one")
        load.more()
        assert load.failures == []


def test_there_is_one_instance_per_folder(tmp_path: Path) -> None:
    """A second one is refused and named; another name is another instance."""
    with instance(tmp_path, HELLO, "--workers", "1") as site:
        second = site.command("run", "app:app", "--bind", "127.0.0.1:0")
        assert second.returncode == 12
        assert str(site.process.pid) in second.stderr
        with instance(tmp_path, "", "--workers", "1", "--name", "other", wait=False) as other:
            wait_until(lambda: other.get().body == b"1", what="the other serves")
            assert site.command("status", "--name", "other").returncode == 0
            assert site.command("stop", "--name", "other").returncode == 0
        assert site.get().body == b"1"


def _until_replaced(site: Instance, slot: int, pid: int) -> None:
    wait_until(lambda: site.workers().get(slot, pid) != pid, what=f"worker {slot} is replaced")


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
