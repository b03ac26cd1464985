"""What `hotplate status --json` says, as far as the benchmarks need it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from benchmarks.processes import BIN


class Traffic(msgspec.Struct):
    """What a worker has served."""

    requests: int


class Worker(msgspec.Struct):
    """One worker."""

    slot: int
    pid: int
    state: str
    traffic: Traffic


class Status(msgspec.Struct):
    """The instance."""

    workers: list[Worker]


def status(cwd: Path) -> Status:
    """Ask the instance of this folder."""
    words = [str(BIN / "hotplate"), "status", "--json"]
    answer = subprocess.run(words, cwd=cwd, capture_output=True, check=False)
    return msgspec.json.decode(answer.stdout, type=Status)
