"""What a long job costs the request that starts it, and what tasks cost in memory."""

from __future__ import annotations

import functools
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import newsdesk
from benchmarks.chores import task_processes, until
from benchmarks.peers import HOTPLATE
from benchmarks.processes import BIN, ROOT, Server, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning

Progress = Callable[[str], None]
_WORKERS = ("--workers", "2", "--task-workers", "2")


def newsletter(rounds: int, progress: Progress) -> Result:
    """How long the request takes that starts newsdesk's newsletter: inside it (slow), and as a task (app)."""
    cwd, env = newsdesk.place()
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        for number, variant in turning(["slow", "app"], rounds):
            progress(f"newsletter {number + 1}/{rounds} {variant}")
            port = free_port()
            words = HOTPLATE.words(f"newsdesk.{variant}:app", port)
            with running(words, port, cwd=cwd, log=Path(made) / variant, env=env) as server:
                server.get("/newsletter")
                seconds, where = _post(port)
                took.setdefault(variant, []).append(1000 * seconds)
                if not until(functools.partial(_sent, server, where), server, 120):
                    raise RuntimeError("the newsletter was not sent")
    slow, app = Spread.of(took["slow"]), Spread.of(took["app"])
    ratio = Spread.of([a / b for a, b in zip(took["slow"], took["app"], strict=True)])
    rows = (
        Row("inside the request (newsdesk.slow)", f"{slow} ms"),
        Row("as a task (newsdesk.app)", f"{app} ms"),
        Row("inside / as a task", f"{ratio} x", ">= 100 x", ratio.median >= 100),
    )
    return Result("newsletter", "Response time of the request that starts newsdesk's newsletter", rows, took)


def _post(port: int) -> tuple[float, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.connect()
    began = time.perf_counter()
    connection.request("POST", "/newsletter", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    connection.close()
    if answer.status != 303:
        raise RuntimeError(f"/newsletter answered {answer.status}")
    return took, answer.headers["Location"]


def _sent(server: Server, where: str) -> bool:
    time.sleep(0.2)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/api{where}")
    state = json.load(connection.getresponse())["state"]
    connection.close()
    return bool(state == "sent")


def memory(rounds: int, progress: Progress) -> Result:
    """PSS of two web and two task workers with the 300 MB model, over one web worker of the app without tasks."""
    held: dict[str, list[float]] = {"one web worker": [], "2 web + 2 task workers": []}
    for number, name in turning(list(held), rounds):
        progress(f"tasks-memory {number + 1}/{rounds} {name}")
        held[name].append(_megabytes(with_tasks=name.startswith("2")))
    ratio = Spread.of([a / b for a, b in zip(held["2 web + 2 task workers"], held["one web worker"], strict=True)])
    rows = [Row(name, f"{Spread.of(of)} MB") for name, of in held.items()]
    rows.append(Row("2 web + 2 task workers / one web worker", f"{ratio} x", "<= 1.6 x", ratio.median <= 1.6))
    return Result("tasks-memory", "Memory (PSS) with a 300 MB model, tasks included", tuple(rows), held)


def _megabytes(*, with_tasks: bool) -> float:
    port = free_port()
    app = "benchmarks.apps.model_tasks:app" if with_tasks else "benchmarks.apps.model:app"
    flags = _WORKERS if with_tasks else ("--workers", "1")
    with tempfile.TemporaryDirectory() as made:
        env = {"PYTHONPATH": str(ROOT), "HOTPLATE_TASKS_DIR": made}
        words = [*HOTPLATE.words(app, port), *flags]
        with running(words, port, cwd=ROOT, log=Path(made) / "log", env=env) as server:
            for _ in range(400):  # on new connections, so that every worker has served
                server.get()
            if with_tasks:
                until(lambda: len(task_processes(server)) == 2, server)
                _run_tasks(env)
            return server.pss() / 2**20


_RUN = """
from benchmarks.apps.model_tasks import task
for number in range(20):
    who = {result.get(timeout=60) for result in [task.delay() for _ in range(20)]}
    if len(who) == 2:
        break
else:
    raise SystemExit("only one of two processes runs tasks")
"""


def _run_tasks(env: dict[str, str]) -> None:
    """Have each process run tasks that use the model."""
    words = [str(BIN / "python"), "-c", _RUN]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
