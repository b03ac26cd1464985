"""`hotplate tasks`: how the tasks go, trying parked ones again, throwing waiting ones away."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from hotplate.cli.parts import Command, Example, Family, Flag, Place
from hotplate.cli.tasks_reach import broker_flags, reach
from hotplate.cli.tasks_run import run
from hotplate.errors import ExitCode, HotplateError

if TYPE_CHECKING:
    import msgspec

    from hotplate.cli.ui import Look
    from hotplate.tasks.admin.report import TasksReport

_EVERY = 2.0  # seconds between two looks of --watch
_CLEAR = "\x1b[H\x1b[2J"  # cursor home, erase display: ECMA-48, CUP and ED
_REASONS = ("failed", "poison", "unknown", "unreadable")
_JSON = Flag(["--json", "as_json"], group="Output", is_flag=True, help="One JSON object (fields: docs/cli.md).")


def show_status(parked: str, *, as_json: bool, watch: bool, **where: Any) -> int:  # noqa: ANN401  the values of click's flags
    """Show how the tasks go; return OK or UNHEALTHY.

    Raises:
        HotplateError: USAGE; see also `reach`.
    """
    from hotplate.cli.ui import Look
    from hotplate.tasks import admin

    look = Look.of(sys.stdout, os.environ)
    newest = _number(parked)
    if watch and (as_json or not look.terminal):
        raise HotplateError(
            "watch the tasks",
            "what is written over again makes sense on a terminal alone",
            "In a script: while hotplate tasks status --json; do sleep 2; done",
            code=ExitCode.USAGE,
        )
    app, broker, queues = reach(**where)
    report = admin.status(app, broker, queues, newest=newest)
    _show_status(report, look, as_json=as_json, over=watch)
    with suppress(KeyboardInterrupt):
        while watch:
            time.sleep(_EVERY)
            report = admin.status(app, broker, queues, newest=newest)
            _show_status(report, look, as_json=as_json, over=watch)
    return int(ExitCode.OK if report.healthy else ExitCode.UNHEALTHY)


def _show_status(report: TasksReport, look: Look, *, as_json: bool, over: bool) -> None:
    from hotplate.cli.tasks_words import status_lines

    if as_json:
        _write_json(report)
        return
    text = "\n".join(status_lines(report, look, time.time()))
    click.echo(_CLEAR + text if over else text, color=True)


def retry_tasks(ids: tuple[str, ...], *, everything: bool, as_json: bool, **flags: Any) -> int:  # noqa: ANN401  see above
    """Put parked tasks into their queues again; return OK.

    Raises:
        HotplateError: USAGE, it is not clear which are meant, or one is not parked; see also `reach`.
    """
    from hotplate.cli.tasks_words import retried_lines
    from hotplate.tasks import admin

    reason, task = flags.pop("reason") or "", flags.pop("task") or ""
    _check_chosen(ids, reason, everything=everything)
    app, broker, _ = reach(**flags)
    done = admin.retry(app, broker, admin.Wanted(ids, reason, task))
    _show(done, retried_lines(done), as_json=as_json)
    return int(ExitCode.OK)


def _check_chosen(ids: Sequence[str], reason: str, *, everything: bool) -> None:
    if bool(ids) == everything:
        cause = "one contradicts the other" if ids else "it is not said which"
        remedy = "Give ids, which `hotplate tasks status` shows, or --all."
        raise HotplateError("try tasks again", cause, remedy, code=ExitCode.USAGE)
    if reason and reason not in _REASONS:
        attempted = f"try tasks again that were parked as {reason!r}"
        remedy = f"Give one of {', '.join(_REASONS)}."
        raise HotplateError(attempted, "there is no such reason", remedy, code=ExitCode.USAGE)


def purge_queue(queue: str | None, *, parked: bool, yes: bool, as_json: bool, **where: Any) -> int:  # noqa: ANN401  see above
    """Throw away what waits in a queue, after asking; return OK, or FAILED for a no.

    Raises:
        HotplateError: USAGE, it is not clear which queue, or nobody is there to be asked; see also `reach`.
    """
    from hotplate.cli.tasks_words import about_to_purge, purged_lines
    from hotplate.tasks import admin

    if bool(queue) == parked:
        cause = "one contradicts the other" if queue else "it is not said which"
        remedy = "Give the name of a queue, which `hotplate tasks status` shows, or --parked."
        raise HotplateError("throw tasks away", cause, remedy, code=ExitCode.USAGE)
    app, broker, _ = reach(**where)
    name = queue or admin.PARKED
    count = admin.waiting(app, broker, name)
    question = about_to_purge(name, count, broker.shown, parked=parked)
    if count and not yes and not _agreed(question):
        click.echo("Nothing was thrown away", err=True)
        return int(ExitCode.FAILED)
    done = admin.purge(app, broker, name)
    _show(done, purged_lines(done), as_json=as_json)
    return int(ExitCode.OK)


def _agreed(question: str) -> bool:
    """Ask on the terminal.

    Raises:
        HotplateError: USAGE; there is none.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        attempted, _, about = question.partition("?")
        raise HotplateError(
            attempted[:1].lower() + attempted[1:],
            f"nobody is there to be asked, and{about[:1].lower()}{about[1:].lower()}",
            "Add --yes.",
            code=ExitCode.USAGE,
        )
    return click.confirm(question, default=False, err=True)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise HotplateError(
            f"show {text!r} parked tasks", "it is no number", "Give one, such as --parked 100.", code=ExitCode.USAGE
        )
    return int(text)


def _show(found: msgspec.Struct, lines: Iterable[str], *, as_json: bool) -> None:
    from hotplate.cli.ui import clean

    if as_json:
        _write_json(found)
        return
    for line in lines:
        click.echo(clean(line))


def _write_json(found: msgspec.Struct) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


status = Command(
    "status",
    show_status,
    help="""\
Show how the tasks of this folder's app go.

The queues, what runs where and for how long, what was done in the last minute, and which tasks are parked: they failed
for good, or killed their worker again and again, or no worker knows them. A dash is what the broker does not tell.

Exits with 0 when the broker answers and whatever waits has a worker, else with 14; what is wrong, and what to type, is
in the output. The app is not imported.
""",
    params=[
        _JSON,
        Flag(["--watch"], group="Output", is_flag=True, help="Show it again every 2 s, until Ctrl-C."),
        Flag(["--parked"], group="Output", metavar="N", default="5", help="Parked tasks to show. [default: 5]"),
        *broker_flags(),
    ],
    examples=(
        Example("hotplate tasks status", "the app of this folder"),
        Example("hotplate tasks status --watch", "and again every two seconds"),
        Example("hotplate tasks status --parked 100", "more of the parked tasks"),
        Example("hotplate tasks status --json | jq .queues", "for programs"),
        Example("hotplate tasks status --broker-url redis://queue", "a broker, from anywhere"),
    ),
)

retry = Command(
    "retry",
    retry_tasks,
    help="""\
Put parked tasks into their queues again.

They have all their attempts and retries before them. ID is what `hotplate tasks status` shows, or how it begins. A task
is removed from the parked ones after it is in its queue again, so that none is lost if this is interrupted.
""",
    params=[
        Place(["ids"], "Parked tasks.", group="What", metavar="[ID]...", nargs=-1),
        Flag(["--all", "everything"], group="What", is_flag=True, help="All that are parked."),
        Flag(["--reason"], group="What", metavar="|".join(_REASONS), help="Of these, the ones parked for this reason."),
        Flag(["--task"], group="What", metavar="NAME", help="Of these, the ones of this name."),
        _JSON,
        *broker_flags(),
    ],
    examples=(
        Example("hotplate tasks retry 5b0c2f9e", "one task"),
        Example("hotplate tasks retry --all", "all that are parked"),
        Example("hotplate tasks retry --all --reason failed --task shop.send_mail", "after a mend"),
    ),
)

purge = Command(
    "purge",
    purge_queue,
    help="""\
Throw away the tasks that wait in a queue.

It says how many there are and asks first. Tasks that a worker has taken go on. Whoever waits for the result of one that
is thrown away waits for ever.
""",
    params=[
        Place(["queue"], "The queue.", group="What", metavar="[QUEUE]", required=False),
        Flag(["--parked"], group="What", is_flag=True, help="The parked tasks instead."),
        Flag(["--yes"], group="What", is_flag=True, help="Do not ask; needed where there is no terminal."),
        _JSON,
        *broker_flags(),
    ],
    examples=(
        Example("hotplate tasks purge celery", "what waits in the default queue, after a question"),
        Example("hotplate tasks purge --parked --yes", "all that is parked, without one"),
    ),
)

tasks = Family(
    "tasks",
    (run, status, retry, purge),
    help="Run tasks, look at them, try parked ones again, throw waiting ones away.",
    examples=(
        Example("hotplate tasks status", "queues, what runs, what is parked"),
        Example("hotplate tasks retry --all", "try parked tasks again"),
        Example("hotplate tasks purge celery", "throw away what waits in a queue"),
        Example("hotplate tasks run shop:app", "on a machine that only runs tasks"),
    ),
)
