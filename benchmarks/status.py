"""What the instance of a folder says of itself, asked as `hotplate status` asks, but without a process each time."""

from __future__ import annotations

from pathlib import Path

from hotplate.supervisor import control
from hotplate.supervisor.report import StatusReport


def status(cwd: Path) -> StatusReport:
    """Ask the instance of this folder."""
    answer = control.ask(cwd, "default", control.Status(), patience=30)
    if not isinstance(answer, StatusReport):
        raise TypeError(f"no status: {answer!r}")
    return answer
