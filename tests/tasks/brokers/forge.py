"""Imports the tasks once, then forks a worker or a producer whenever a line on stdin asks for one.

A worker is there in a tenth of a second instead of a second or two, the way the supervisor makes them.
`{"serve": {...}}` is answered with its process id, `{"send": ["1", "2"], "seconds": 0}` likewise.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from kombu.exceptions import OperationalError

from hotplate.tasks.worker.run import Counts, Plan, serve
from tests.tasks.brokers import work


class Files:
    """Notes that a worker is connected in a file of its name."""

    def ready(self, processes: tuple[int, ...]) -> None:
        """Say nothing."""

    def counts(self, counts: Counts) -> None:
        """Note the connection."""
        (work.FOLDER / f"{os.getpid()}.{counts.broker}").touch()

    def in_child(self) -> None:
        """Do nothing."""


def _serve(given: dict[str, Any]) -> int:
    return serve(work.app, Plan(title="tasks", talk_every=0.05, nice=0, **given), Files())


def _send(order: dict[str, Any]) -> int:
    """Send tasks, each as often as it takes, as an application does whose users try again."""
    for which in order["send"]:
        work.note("sending", which, os.getpid())
        while True:
            try:
                work.do.delay(which, order["seconds"])
                break
            except OperationalError:
                time.sleep(0.05)
        work.note("sent", which, os.getpid())
    return 0


def _forked(act: Callable[[], int]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        status = act()
    except BaseException:  # noqa: BLE001  a child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork as asked, until stdin ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        child = _forked(partial(_serve, order["serve"]) if "serve" in order else partial(_send, order))
        children.append(child)
        print(child, flush=True)  # noqa: T201  the answer
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
