"""Whether tasks that ran twice had a reason to."""

from __future__ import annotations

from collections.abc import Sequence

from tests.tasks.brokers.work import Line

CONCURRENCY = 2


def twice_for_no_reason(lines: Sequence[Line]) -> list[str]:
    """Return the tasks that began more often than what happened to them explains.

    A task may begin again for each time that it was interrupted: its worker, one of its worker's processes or its
    broker was ended before it was done, or before its worker had then taken more than twice as many others as it has
    processes, by which time it has been acknowledged. And for each time that its producer was ended while it sent it.

    Args:
        lines: the journal.
    """
    wrong = []
    for which in sorted({line.which for line in lines if line.what == "began"}):
        began = [at for at, line in enumerate(lines) if (line.what, line.which) == ("began", which)]
        reasons = sum(_interrupted(lines[at:]) for at in began)
        reasons += sum(not _sent(lines[at:]) for at, line in enumerate(lines) if line[:2] == ("sending", which))
        if len(began) > 1 + reasons:
            wrong.append(which)
    return wrong


def _interrupted(lines: Sequence[Line]) -> bool:
    """Say whether the task that begins in the first line was ended."""
    _, which, main = lines[0]
    done, others = False, 0
    for line in lines[1:]:
        if line.what == "broker" or (line.what in {"killing", "killed"} and line.main == main):
            return others < 2 * CONCURRENCY
        done = done or line == ("done", which, main)
        others += done and line.what == "began" and line.main == main
    return False


def _sent(lines: Sequence[Line]) -> bool:
    """Say whether whoever sends a task in the first line knew later that it was sent."""
    return any(line == ("sent", *lines[0][1:]) for line in lines[1:])
