"""A task worker as the supervisor runs it: forked from a process that has imported the app.

`python -m tests.tasks.worker.serving MODULE '{"concurrency": 2}'` prints a JSON object per line: what the worker says.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module

import msgspec

from hotplate.tasks.worker.run import Counts, Plan, serve
from tests.tasks.worker import chores


class Lines:
    """Says everything as lines on a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self, processes: tuple[int, ...]) -> None:
        """Say the worker's processes."""
        self._say(ready=processes, pid=os.getpid())

    def counts(self, counts: Counts) -> None:
        """Say the counts."""
        self._say(counts=msgspec.to_builtins(counts))

    def in_child(self) -> None:
        """Note that it was called."""
        chores.note("in_child")

    def _say(self, **fields: object) -> None:
        os.write(self._descriptor, json.dumps(fields).encode() + b"\n")


def main(module: str, given: str) -> int:
    """Fork, serve in the child, and end with its status."""
    plan = {"title": "hotplate: tasks chores", "concurrency": 2, "talk_every": 0.05, **json.loads(given)}
    app = import_module(module).app
    log = logging.getLogger("hotplate")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = serve(app, Plan(**plan), Lines(1))
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended) & 0xFF


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
