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
    from hotplate.supervisor.report import StatusReport, WorkerReport

_HELP = """\
Show how a running instance goes.

There is a line per worker, and one for all of them together.

Exits with 0 only when every worker is warm and serving (or asleep by --idle-timeout), with 14 when not, and with 11
when no instance runs. Latency is from a request's arrival to its last byte; memory is what only that worker uses.
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
    told = (
        f"{report.state.capitalize()}: {warm} of {report.slots} workers warm, up {show_duration_roughly(report.uptime)}"
    )
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
    }
    yield from (f"  {label:<11}{clean(fact)}" for label, fact in facts.items() if fact)
    if report.workers:
        yield ""
        head, *body = aligned([_HEAD, *map(_row, report.workers), _sums(report)], left=[_STATE])
        yield look.paint(head, "bold")
        yield from body


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
