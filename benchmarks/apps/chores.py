"""Tasks that leave a trace: CHORES_LOG names a file to which every process appends, a whole line at a time."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any

from celery import current_task, shared_task


@functools.cache
def _log(_pid: int) -> int:
    return os.open(os.environ["CHORES_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _write(line: str) -> None:
    os.write(_log(os.getpid()), line.encode())


def nothing() -> None:
    """Do nothing; a byte in the log counts it, which takes 2 us."""
    _write(".")


def stamp(sent: float) -> None:
    """Note how long ago it was sent (seconds of CLOCK_MONOTONIC, which all processes share)."""
    _write(f"{time.monotonic() - sent:.6f}\n")


def write_down(number: int, seconds: float) -> None:
    """Note a number when it begins and when it ends, with the message, the process, and its parent."""
    who = f"{current_task.request.id} {number} {os.getpid()} {os.getppid()}"
    _write(f"{who} begun {time.monotonic():.6f}\n")
    time.sleep(seconds)
    _write(f"{who} ended {time.monotonic():.6f}\n")


def hold(name: str, while_there: str) -> None:
    """Note that it begins, and go on as long as a file is there. Asks for all the safety that Celery has."""
    _write(f"{name}\n")
    while Path(while_there).exists():
        time.sleep(0.01)


def compute(while_there: str) -> None:
    """Take a core as long as a file is there."""
    _write(".")
    while Path(while_there).exists():
        sum(number * number for number in range(100_000))


_SAFE = {"acks_late": True, "reject_on_worker_lost": True}
CHORES: dict[str, Any] = {
    "nothing": shared_task(ignore_result=True)(nothing),
    "stamp": shared_task(ignore_result=True)(stamp),
    "write_down": shared_task(ignore_result=True)(write_down),
    "hold": shared_task(ignore_result=True, **_SAFE)(hold),
    "compute": shared_task(ignore_result=True)(compute),
}
