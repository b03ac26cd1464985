"""`python -m benchmarks.chores_sent MODULE TASK [ARGUMENT ...] --count N`: send a task repeatedly from one process.

Prints how many tasks a second were sent, or done with --in-turn.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.apps.chores import CHORES

_PAUSE = 0.06  # seconds, and a little that differs each time, so that it beats in no rhythm


def main() -> int:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chores_sent", description=__doc__)
    parser.add_argument("module", help="where the Celery app is")
    parser.add_argument("task", choices=CHORES)
    parser.add_argument("arguments", nargs="*", help='"now" is the time at which each is sent, with pauses between')
    parser.add_argument("--count", type=int, required=True, help="how often, after once to connect")
    parser.add_argument("--in-turn", type=int, default=0, help="send one when one is done: so many at a time")
    parser.add_argument("--seconds", type=float, default=0, help="send no more in turn after so long")
    options = parser.parse_args()
    importlib.import_module(options.module)
    task = CHORES[options.task]
    if options.in_turn:
        print(_in_turn(task, options.in_turn, options.count, options.seconds))
        return 0
    timed = "now" in options.arguments
    began = 0.0
    for number in range(options.count + 1):
        if number == 1:
            began = time.perf_counter()
        if timed:
            time.sleep(_PAUSE + number % 7 / 1000)
        task.delay(*(time.monotonic() if word == "now" else word for word in options.arguments))
    print(options.count / (time.perf_counter() - began) if options.count else 0.0)
    return 0


def _in_turn(task: Any, at_once: int, count: int, seconds: float) -> float:  # noqa: ANN401  # Celery has no types
    """Keep so many on their way; return how many a second were done. A byte in the log is one that is done."""
    log = Path(os.environ["CHORES_LOG"])
    before, sent = log.stat().st_size, 0
    began = time.perf_counter()
    while (done := log.stat().st_size - before) < count and time.perf_counter() - began < seconds:
        if sent < count and sent - done < at_once:
            task.delay()
            sent += 1
        else:
            time.sleep(0.0005)
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
