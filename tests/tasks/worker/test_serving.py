"""What a task worker promises whoever runs it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from hotplate.tasks.app import Application
from tests.support.waiting import DEADLINE, wait_until
from tests.tasks.worker.chores import notes
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"
ON_A_FILE = pytest.mark.parametrize("broker", ["embedded"], indirect=True)
MB = 2**20

pytestmark = [pytest.mark.process, ON_A_FILE]


def test_runs_tasks(serve: Serve, client: Application) -> None:
    """A task is run, its result is there, and it is counted."""
    worker = serve()
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    counts = worker.counts(succeeded=1)
    assert (counts["received"], counts["failed"], counts["running"]) == (1, 0, [])
    assert counts["rates"]["succeeded"] == 1


def test_processes_show_what_they_are(serve: Serve, client: Application, folder: Path) -> None:
    """Processes have telling titles, and those that run tasks give way to others."""
    worker = serve(nice=7)
    told = client.send_task(f"{CHORES}.look").get(timeout=DEADLINE)
    assert told["title"] in {"hotplate: task 1", "hotplate: task 2"}
    assert told["parent"] == worker.pid
    assert told["nice"] == min(19, os.nice(0) + 7)
    assert told["policy"] == os.SCHED_BATCH
    assert " ".join(psutil.Process(worker.pid).cmdline()).strip() == "hotplate: tasks chores"
    assert sorted(line.split()[0] for line in notes(folder, "in_child")) == sorted(map(str, worker.ready()))


def test_sigterm_lets_the_running_task_finish(serve: Serve, client: Application, folder: Path) -> None:
    """After SIGTERM what runs is finished and acknowledged, what waits is left to others, and the status is 0."""
    worker = serve(concurrency=1)
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    worker.send(signal.SIGTERM)
    later = client.send_task(f"{CHORES}.add", (1, 2))
    (folder / "long").touch()
    assert worker.wait() == 0
    assert running.get(timeout=DEADLINE) == "long"
    assert not notes(folder, "add")
    serve()
    assert later.get(timeout=DEADLINE) == 3
    assert len(notes(folder, "long.began")) == 1


def test_sigquit_gives_the_running_task_back(serve: Serve, client: Application, folder: Path) -> None:
    """After SIGQUIT what runs is run by another worker, and being cut short does not count as an attempt."""
    worker = serve(attempts=1)
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGQUIT)
    assert worker.wait() == 0
    assert not notes(folder, "long.done")
    serve(attempts=1)
    wait_until(lambda: len(notes(folder, "long.began")) == 2, what="the task runs again")
    (folder / "long").touch()
    assert running.get(timeout=DEADLINE) == "long"


def test_sigquit_without_sigterm(serve: Serve, client: Application, folder: Path) -> None:
    """SIGQUIT alone does the same."""
    worker = serve(attempts=1)
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    worker.send(signal.SIGQUIT)
    assert worker.wait() == 0
    (folder / "long").touch()
    serve(attempts=1)
    assert running.get(timeout=DEADLINE) == "long"


def test_children_do_not_outlive_the_main_process(serve: Serve, client: Application, folder: Path) -> None:
    """When the main process is killed, so are those that run tasks, and the task is run elsewhere."""
    worker = serve()
    children = [psutil.Process(pid) for pid in worker.ready()]
    running = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    worker.send(signal.SIGKILL)
    worker.wait()
    _, alive = psutil.wait_procs(children, DEADLINE)
    assert not alive
    (folder / "long").touch()
    assert not notes(folder, "long.done")
    serve()
    assert running.get(timeout=DEADLINE) == "long"
    assert len(notes(folder, "long.began")) == 2


def test_what_is_loaded_is_shared(serve: Serve, client: Application) -> None:
    """Memory of the app is there once, also after a process was replaced and tasks have run."""
    worker = serve(variables={"CHORES_TABLE": "100"})
    first = worker.ready()
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: first[0] not in worker.counts()["processes"], what="the process is replaced")
    results = [client.send_task(f"{CHORES}.add", (number, number)) for number in range(50)]
    assert [result.get(timeout=DEADLINE) for result in results] == [2 * number for number in range(50)]
    processes = [psutil.Process(pid) for pid in worker.counts()["processes"]]
    assert len(processes) == 2
    for process in processes:
        memory = process.memory_full_info()
        assert memory.rss > 100 * MB
        assert memory.uss < 30 * MB


def test_private_memory_is_limited(serve: Serve, client: Application) -> None:
    """A process is replaced after a task that took too much, and what it shares with its parent does not count."""
    worker = serve(concurrency=1, max_memory=60 * MB, variables={"CHORES_TABLE": "100"})
    pids = {client.send_task(f"{CHORES}.look").get(timeout=DEADLINE)["pid"] for _ in range(5)}
    assert len(pids) == 1
    assert client.send_task(f"{CHORES}.take", (80,)).get(timeout=DEADLINE) in pids
    worker.counts(recycled=1)
    assert client.send_task(f"{CHORES}.look").get(timeout=DEADLINE)["pid"] not in pids


def test_logging_stays_the_apps(serve: Serve, client: Application) -> None:
    """A failed task's traceback is shown, no banner is, and the failure is counted."""
    worker = serve()
    with pytest.raises(ValueError, match="no luck today"):
        client.send_task(f"{CHORES}.fail", ("luck",)).get(timeout=DEADLINE)
    worker.counts(failed=1)
    assert "ValueError: no luck today" in worker.log
    assert "celery@" not in worker.log
    assert "superuser" not in worker.log


def test_what_tasks_print(serve: Serve, client: Application, tmp_path: Path) -> None:
    """What a task prints is there at once, as it is."""
    worker = serve()
    client.send_task(f"{CHORES}.speak", ("hello there",)).get(timeout=DEADLINE)
    wait_until(lambda: "\nhello there\n" in (tmp_path / f"{worker.name}.said").read_text(), what="it is printed")


def test_kinds_of_ends(serve: Serve, client: Application) -> None:
    """Retries are counted as such; a task that was ignored has succeeded; one that was rejected has done neither."""
    worker = serve(concurrency=1)
    for name in ("ignore", "reject"):
        client.send_task(f"{CHORES}.{name}")
    with pytest.raises(ValueError, match="still not"):
        client.send_task(f"{CHORES}.falter", ("f",)).get(timeout=DEADLINE)
    counts = worker.counts(received=5, retried=2)
    assert counts["succeeded"] == 1


def test_tells_other_machines(serve: Serve, client: Application) -> None:
    """The same counts are answered over the broker."""
    worker = serve().connected()
    client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE)
    worker.counts(succeeded=1)

    def answers() -> list[dict[str, dict[str, int]]]:
        found: list[dict[str, dict[str, int]]] = client.control.broadcast("hotplate_counts", reply=True)
        return found

    (answer,) = wait_until(answers, what="the worker answers")
    assert answer["hotplate-test-1@here"]["succeeded"] == 1


def test_running_tasks_are_told(serve: Serve, client: Application, folder: Path) -> None:
    """Counts name what runs, where and for how long."""
    worker = serve()
    sent = client.send_task(f"{CHORES}.hold", ("long",))
    wait_until(lambda: notes(folder, "long.began"), what="the task runs")
    wait_until(lambda: worker.counts()["running"], what="it is told")
    (running,) = worker.counts()["running"]
    assert (running["id"], running["name"]) == (sent.id, f"{CHORES}.hold")
    assert running["process"] in worker.ready()
    assert running["seconds"] >= 0
    (folder / "long").touch()
    sent.get(timeout=DEADLINE)


def test_any_celery_app_is_served(serve: Serve, client: Application) -> None:
    """An app that its user made by Celery alone is served and counted, and nothing of it is parked."""
    worker = serve("tests.tasks.worker.plain")
    assert client.send_task("tests.tasks.worker.plain.double", (4,)).get(timeout=DEADLINE) == 8
    with pytest.raises(ValueError, match="plainly"):
        client.send_task("tests.tasks.worker.plain.fail").get(timeout=DEADLINE)
    counts = worker.counts(succeeded=1, failed=1)
    assert counts["parked"] == 0
