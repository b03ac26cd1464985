"""`hotplate tasks run`: a machine that runs tasks and serves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from hotplate.errors import ExitCode
from tests.e2e.tasks.conftest import APP, SCHEDULED, Shop
from tests.support.instance import HELLO, Instance, environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process


@contextmanager
def tasks_only(folder: Path, source: str = APP, *flags: str, target: str = "app:app") -> Iterator[Shop]:
    """Run the tasks of an app, and nothing else."""
    (folder / "app.py").write_text(source)
    variables = {"PWD": str(folder), "HOTPLATE_TASKS_DIR": str(folder / "tasks"), "REDIS_URL": ""}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hotplate", "tasks", "run", target, "--task-workers", "1", *flags],
            cwd=folder,
            env=environment(variables),
            stdout=log,
            stderr=log,
        )
    site = Instance(folder, process, 0)
    try:
        yield Shop(site)
    finally:
        family = site.tree()
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def send(folder: Path, text: str, task: str = "write") -> None:
    """Send a task as a script does."""
    script = f"import app; app.{task}.delay({text!r})"
    variables = {"PWD": str(folder), "HOTPLATE_TASKS_DIR": str(folder / "tasks"), "REDIS_URL": ""}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment(variables), check=True, timeout=60)


def test_tasks_are_run_without_web_workers(tmp_path: Path) -> None:
    """No listener is open, no web worker there; what scripts send is done, and what is scheduled, too."""
    with tasks_only(tmp_path, SCHEDULED) as shop:
        shop.site.until_healthy()
        send(tmp_path, "letter")
        shop.until_noted("letter 1")
        shop.until_noted("tick 1")
        status = shop.site.status()
        assert (status["slots"], status["workers"], status["binds"]) == (0, [], [])
        listening = [each for process in shop.site.tree() for each in process.net_connections("tcp")]
        assert not [each for each in listening if each.status == psutil.CONN_LISTEN]
        assert "Running tasks, 1 at once" in shop.site.log
        assert shop.site.command("status").returncode == 0


def test_it_reloads_and_survives_like_a_web_machine(tmp_path: Path) -> None:
    """A killed process is replaced, a reload brings new code, and a version without tasks is refused."""
    with tasks_only(tmp_path) as shop:
        shop.site.until_healthy()
        before = shop.pid()
        os.kill(before, signal.SIGKILL)
        now = shop.until_another(before)
        shop.rewrite(APP.replace('"1"', '"2"'))
        assert shop.site.command("reload").returncode == 0
        shop.until_another(now)
        send(tmp_path, "letter")
        shop.until_noted("letter 2")
        shop.rewrite(HELLO)
        refused = shop.site.command("reload")
        assert refused.returncode == ExitCode.RELOAD_FAILED
        assert "has no Celery app" in refused.stderr
        assert shop.site.command("scale", "+1").returncode != 0
        assert shop.site.command("stop").returncode == 0


@pytest.mark.parametrize("preload", ["auto", "off"])
def test_an_app_without_tasks_is_refused(tmp_path: Path, preload: str) -> None:
    """The line says what is missing; nothing is left running."""
    with tasks_only(tmp_path, HELLO, "--preload", preload) as shop:
        wait_until(shop.site.ended, what="it has ended")
        assert shop.site.process.returncode == ExitCode.ATTRIBUTE_MISSING
        assert "has no Celery app" in shop.site.log


def test_preload_can_be_off(tmp_path: Path) -> None:
    """The tasks process imports the app then, and tells about its schedule."""
    with tasks_only(tmp_path, SCHEDULED, "--preload", "off") as shop:
        shop.site.until_healthy()
        shop.until_noted("tick 1")
