"""`hotplate status`: how a running instance goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from hotplate.cli.parts import Command, Example, Flag
from hotplate.cli.reach import instance, instance_flags
from hotplate.errors import ExitCode

if TYPE_CHECKING:
    from hotplate.cli.ui import Look
    from hotplate.supervisor.report import CrewReport, StatusReport, TasksState, WorkerReport

_HELP = """\
Show how a running instance goes.

There is a line per worker, and one for all of them together; below it a line for the process that runs tasks.

Exits with 0 only when every worker, and who runs tasks, is warm and serving (or asleep by --idle-timeout), with 14 when
not, and with 11 when no instance runs. Latency is from a request's arrival to its last byte; memory is what only that
worker uses, for tasks together with the processes that run them.
"""
_EXAMPLES = (
    Example("hotplate status", "the instance of this folder"),
    Example("hotplate status --folder /srv/shop --name blue", "another one"),
    Example("hotplate status --json | jq .totals", "for programs"),
    Example("until hotplate status; do sleep 1; done", "wait until all is warm"),
)
_PATIENCE = 10.0  # seconds
_HEAD = (
    "worker", "pid", "state", "age", "requests", "in flight", "5xx", "p50", "p95", "p99", "threads", "queued", "memory",
    "restarts",
)  # fmt: skip
_STATE = 2
_CREW_HEAD = (
    "crew", "pid", "state", "age", "running", "done", "failed", "retried", "parked", "per minute", "memory", "restarts",
)  # fmt: skip


def show_status(name: str | None, folder: str | None, *, as_json: bool) -> int:
    """Show it; return OK or UNHEALTHY.

    Raises:
        HotplateError: NOT_RUNNING, or the instance does not answer.
    """
    import msgspec

    from hotplate.cli.ui import Look, clean
    from hotplate.supervisor import control
    from hotplate.supervisor.report import StatusReport

    report = control.ask(*instance(name, folder), control.Status(), patience=_PATIENCE)
    if not isinstance(report, StatusReport):
        raise TypeError(f"the instance answered with {report!r}")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        look = Look.of(sys.stdout, os.environ)
        for line in lines(report, look):
            click.echo(line if look.terminal else clean(line), color=True)
    return int(ExitCode.OK if report.healthy else ExitCode.UNHEALTHY)


def lines(report: StatusReport, look: Look) -> Iterator[str]:
    """Yield what is shown of a report."""
    from hotplate.cli.table import aligned
    from hotplate.cli.ui import clean
    from hotplate.settings.units import show_duration_roughly

    warm = sum(worker.state == "ready" for worker in report.workers)
    who = f"{warm} of {report.slots} workers warm" if report.slots or not report.tasks else "tasks only"
    told = f"{report.state.capitalize()}: {who}, up {show_duration_roughly(report.uptime)}"
    yield look.paint(told, "bold", "green" if report.healthy else "red")
    yield ""
    shared = "shared by the workers" if report.preloaded else "imported by each worker"
    facts = {
        "App": f"{report.app or report.target or 'not imported yet'}" + (f" ({shared})" if report.app else ""),
        "Listening": ", ".join(report.binds),
        "Folder": report.folder + ("" if report.name == "default" else f", name {report.name}"),
        "Master": f"pid {report.pid}, generation {report.generation} (pid {report.generation_pid or 'none'})",
        "Workers": f"{report.slots}" + (f" ({report.workers_why})" if report.workers_why else ""),
        "Spread": report.steering,
        "Cache": _cache(report),
        "Tasks": _tasks(report.tasks) if report.tasks else "",
        "Broker": _broker(report.tasks) if report.tasks else "",
    }
    yield from (f"  {label:<11}{clean(fact)}" for label, fact in facts.items() if fact)
    if report.workers:
        yield ""
        head, *body = aligned([_HEAD, *map(_row, report.workers), _sums(report)], left=[_STATE])
        yield look.paint(head, "bold")
        yield from body
    if report.tasks and report.tasks.crew:
        yield ""
        head, *body = aligned([_CREW_HEAD, *map(_crew_row, report.tasks.crew)], left=[0, _STATE])
        yield look.paint(head, "bold")
        yield from body


def _tasks(tasks: TasksState) -> str:
    at_once = f"{tasks.workers} at once ({tasks.workers_why})" if tasks.workers else "none run here"
    known = f"{tasks.known} {'task' if tasks.known == 1 else 'tasks'} of {tasks.celery}"
    return f"{at_once}; {known}{'; with a schedule' if tasks.beat else ''}"


def _broker(tasks: TasksState) -> str:
    problem = next((each.tally.problem for each in tasks.crew if each.state == "ready" and each.tally.problem), "")
    return tasks.broker + (f": {problem}; waiting for it" if problem else "")


def _crew_row(process: CrewReport) -> tuple[str, ...]:
    from hotplate.settings.units import show_duration_roughly

    tally = process.tally
    counts = (len(tally.running), tally.succeeded, tally.failed, tally.retried, tally.parked, tally.rates.succeeded)
    return (
        process.role,
        str(process.pid),
        process.state,
        show_duration_roughly(process.age),
        *(map(str, counts) if process.role == "tasks" else "-" * len(counts)),
        _memory(process.private),
        str(process.restarts),
    )


def _cache(report: StatusReport) -> str:
    if not report.cache:
        return ""
    from pathlib import Path

    from hotplate.cli import cache_stats

    return cache_stats.brief(Path(report.cache))


def _row(worker: WorkerReport) -> tuple[str, ...]:
    from hotplate.settings.units import show_duration_roughly

    traffic = worker.traffic
    return (
        str(worker.slot),
        str(worker.pid),
        worker.state,
        show_duration_roughly(worker.age),
        str(traffic.requests),
        str(traffic.in_flight),
        str(traffic.errors),
        *(_latency(each) for each in (traffic.p50, traffic.p95, traffic.p99)),
        str(traffic.threads),
        str(traffic.queued),
        _memory(worker.private),
        str(worker.restarts),
    )


def _sums(report: StatusReport) -> tuple[str, ...]:
    from hotplate.gateway.histogram import Histogram

    totals = report.totals
    # Percentiles do not add up, histograms do.
    latency = Histogram(pair for worker in report.workers for pair in worker.traffic.latency)
    return (
        "all",
        "",
        "",
        "",
        str(totals.requests),
        str(totals.in_flight),
        str(totals.errors),
        *(_latency(each) for each in latency.percentiles(50, 95, 99)),
        str(sum(worker.traffic.threads for worker in report.workers)),
        str(totals.queued),
        _memory(totals.private),
        str(totals.restarts),
    )


def _latency(seconds: float) -> str:
    from hotplate.settings.units import show_duration_roughly

    return show_duration_roughly(seconds) if seconds else "-"


def _memory(count: int) -> str:
    from hotplate.settings.units import show_size_roughly

    return show_size_roughly(count) if count else "-"


status = Command(
    "status",
    show_status,
    help=_HELP,
    params=[
        Flag(
            ["--json", "as_json"], group="Output", is_flag=True, help="One JSON object; its fields are in docs/cli.md."
        ),
        *instance_flags(),
    ],
    examples=_EXAMPLES,
)
