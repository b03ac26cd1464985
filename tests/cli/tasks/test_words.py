"""What people read of the tasks, from made-up records."""

from __future__ import annotations

import msgspec
import pytest

from hotplate.cli import tasks_words
from hotplate.cli.ui import Look
from hotplate.tasks.admin.report import (
    BrokerReport,
    ParkedReport,
    ParkedTask,
    Problem,
    Purged,
    QueueReport,
    Rates,
    Retried,
    RunningTask,
    TasksReport,
    TaskWorker,
)

NOW = 1_700_000_000.0
PLAIN = Look(terminal=False)
QUIET = TasksReport(
    healthy=True,
    problems=(),
    app="shop",
    broker=BrokerReport(kind="embedded", url="hotplate:////srv/state/shop.sqlite", origin="embedded", answers=True),
    queues=(),
    workers=(),
    running=(),
    minute=Rates(),
    parked=ParkedReport(total=0, reasons={}, newest=()),
)
PARKED = ParkedTask(id="5b0c", task="shop.mail", reason="poison", queue="celery", at=NOW - 120, detail="x" * 80)
BUSY = msgspec.structs.replace(
    QUIET,
    queues=(
        QueueReport(name="celery", depth=1234, delayed=3, taken=2, oldest=3.25, workers=1),
        QueueReport(name="mail", depth=0, delayed=None, taken=None, oldest=None, workers=0),
    ),
    workers=(
        TaskWorker(
            name="hotplate-1@here", kind="hotplate", pid=7, processes=2, uptime=60.0, queues=("celery",), running=1,
            done=9, failed=2, retried=1, parked=1,
        ),
    ),
    running=(RunningTask(id="77", task="shop.report", seconds=1.5, worker="hotplate-1@here"),),
    minute=Rates(done=6, failed=2, retried=1),
    parked=ParkedReport(total=7, reasons={"failed": 6, "poison": 1}, newest=(PARKED,)),
)  # fmt: skip


def text(report: TasksReport, look: Look = PLAIN) -> str:
    """Return what is shown."""
    return "\n".join(tasks_words.status_lines(report, look, NOW))


def test_nothing_to_tell() -> None:
    """Without work there is one line, and where the tasks would lie; no empty table."""
    assert text(QUIET) == (
        "Tasks: 0 running, 0 waiting, 0 workers\n\n  Broker  a file of this machine, /srv/state/shop.sqlite"
    )


def test_all_there_is() -> None:
    """Queues, workers, what runs and what is parked stand in columns; a dash is what the broker does not tell."""
    shown = text(BUSY)
    assert shown.startswith("Tasks: 1 running, 1,234 waiting, 1 worker, 7 parked\n")
    lines = [line.split() for line in shown.splitlines()]
    assert ["celery", "1,234", "3", "2", "3.25", "s", "1"] in lines
    assert ["mail", "0", "-", "-", "-", "0"] in lines
    assert ["hotplate-1@here", "7", "2", "1", "9", "2", "1", "1", "60", "s"] in lines
    assert ["77", "shop.report", "1.5", "s", "hotplate-1@here"] in lines
    assert ["5b0c", "shop.mail", "poison", "120", "s", "ago", f"{'x' * 59}…"] in lines or "2 min ago" in shown
    assert "6 done, 2 failed, 1 tried again in the last minute" in shown
    assert "  Parked  6 failed, 1 poison" in shown
    assert shown.endswith("hotplate tasks retry 5b0c, or --all (the newest 1 of 7)")


def test_columns_line_up() -> None:
    """A head stands over its numbers."""
    head, first = (line for line in text(BUSY).splitlines() if line.startswith(("queue", "celery")))
    assert head.index("waiting") + len("waiting") == first.index("1,234") + len("1,234")


def test_problems_come_first() -> None:
    """What is wrong, and what to type, is right under the head, and red on a terminal."""
    report = msgspec.structs.replace(BUSY, healthy=False, problems=(Problem("nobody works", "Type: hotplate run"),))
    assert text(report).splitlines()[1] == "Nobody works. Type: hotplate run"
    on_terminal = text(report, Look(terminal=True)).splitlines()
    assert on_terminal[0].startswith("\x1b[1;31m")
    assert on_terminal[1].startswith("\x1b[31m")


def test_silent_broker() -> None:
    """Of a broker that does not answer nothing is shown as if it were empty."""
    broker = msgspec.structs.replace(QUIET.broker, answers=False)
    assert text(msgspec.structs.replace(QUIET, broker=broker)).startswith("Tasks: the broker does not answer\n")


def test_nothing_foreign_commands_the_terminal() -> None:
    """Names and exceptions come from messages, which anybody may have put there."""
    evil = ParkedTask(id="\x1b[2J", task="a\nb", reason="failed", queue="celery", at=0.0, detail="\x1b]0;x\x07")
    report = msgspec.structs.replace(QUIET, parked=ParkedReport(total=1, reasons={"\x1b[1m": 1}, newest=(evil,)))
    shown = text(report)
    assert "\x1b" not in shown
    assert "a b" in shown


@pytest.mark.parametrize(
    ("retried", "left", "told"),
    [
        ((), 0, "Nothing is parked"),
        ((), 3, "Nothing was tried again: no such task is parked"),
        ((PARKED,), 3, "1 task waits in celery again; 3 parked"),
        ((PARKED, msgspec.structs.replace(PARKED, queue="mail")), 0, "2 tasks wait in 2 queues again; 0 parked"),
    ],
)
def test_retried(retried: tuple[ParkedTask, ...], left: int, told: str) -> None:
    """How many wait again, and how many are still parked."""
    assert list(tasks_words.retried_lines(Retried(retried=retried, left=left, broker="b"))) == [told]


def test_purged() -> None:
    """The question says how many and what of; the answer how many it were."""
    assert tasks_words.about_to_purge("mail", 1, "redis://q", parked=False) == (
        "Throw away 1 task that waits in the queue mail at redis://q? It cannot be brought back"
    )
    assert tasks_words.about_to_purge("x", 1200, "hotplate:////srv/a.sqlite", parked=True) == (
        "Throw away 1,200 parked tasks at /srv/a.sqlite? They cannot be brought back"
    )
    assert list(tasks_words.purged_lines(Purged(queue="mail", purged=2, broker="b"))) == [
        "2 tasks thrown away from mail"
    ]
    assert list(tasks_words.purged_lines(Purged(queue="mail", purged=0, broker="b"))) == ["Nothing waited in mail"]
