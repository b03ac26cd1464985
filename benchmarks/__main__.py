"""`python -m benchmarks`: run the scenarios, print and write what was measured."""

from __future__ import annotations

import argparse
import functools
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from benchmarks import (
    balance,
    cache,
    cache_outage,
    cache_shared,
    memory,
    resilience,
    tasks_cost,
    tasks_kills,
    tasks_rate,
    tasks_web,
    throughput,
    warmth,
)
from benchmarks.processes import ROOT
from benchmarks.rounds import Result, Row, Scenario

SCENARIOS = (
    *(Scenario(c.name, functools.partial(throughput.against_peers, c)) for c in (throughput.HELLO, throughput.ARTICLE)),
    Scenario("waiting", functools.partial(throughput.against_peers, throughput.WAITING)),
    Scenario("overhead", throughput.overhead),
    Scenario("first", warmth.first_requests),
    Scenario("memory", memory.sharing),
    Scenario("losses", resilience.losses),
    Scenario("restart", warmth.restart),
    Scenario("balance", balance.shares),
    Scenario("hits", cache.hits),
    Scenario("hit-cost", cache.hit_cost),
    Scenario("shared-hits", cache_shared.shared_hits),
    Scenario("uncacheable", cache_shared.uncacheable),
    Scenario("stampede", cache_shared.stampede),
    Scenario("outage", cache_outage.outage),
    Scenario("tasks-kills", tasks_kills.kills),
    Scenario("tasks-rate", tasks_rate.rates),
    Scenario("tasks-web", tasks_web.web),
    Scenario("newsletter", tasks_cost.newsletter),
    Scenario("tasks-memory", tasks_cost.memory),
)
_VERSIONS = (
    "hotplate",
    "granian",
    "gunicorn",
    "gevent",
    "pyuwsgi",
    "waitress",
    "Flask",
    "Flask-Caching",
    "SQLAlchemy",
    "uvloop",
    "celery",
    "kombu",
)
RESULTS = ROOT / "benchmarks" / "results"


def machine() -> dict[str, str]:
    """What the figures were measured on and with."""
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": f"{os.cpu_count()} x {model}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, CPython {platform.python_version()}",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS),
        "load": "wrk (1 thread) on the same machine and cores",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table(result: Result) -> str:
    """Return a result as Markdown."""
    lines = [f"### {result.title}", "", "| | measured | at least | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.bar} | {_mark(row)} |" for row in result.rows]
    return "\n".join(lines) + "\n"


def _mark(row: Row) -> str:
    return {True: "holds", False: "**falls short**", None: ""}[row.holds]


def main() -> int:
    """Run the chosen scenarios; exit 1 when a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds per scenario (default 5)")
    parser.add_argument("--only", action="append", choices=[s.name for s in SCENARIOS], help="a scenario; may repeat")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    fell_short = False
    for scenario in SCENARIOS:
        if arguments.only and scenario.name not in arguments.only:
            continue
        result = scenario.run(
            arguments.rounds, lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        )
        print("\r\033[K", end="", file=sys.stderr)
        print(table(result), flush=True)
        record = {"machine": machine(), "rounds": arguments.rounds, "result": result}
        (RESULTS / f"{scenario.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        fell_short |= any(row.holds is False for row in result.rows)
    _write_summary()
    return int(fell_short)


def _write_summary() -> None:
    """Put all that is in the results folder on one page."""
    order = {scenario.name: number for number, scenario in enumerate(SCENARIOS)}
    records = [msgspec.json.decode(path.read_bytes()) for path in RESULTS.glob("*.json")]
    records.sort(key=lambda record: order[record["result"]["name"]])
    parts = ["# Measured\n\nMade by `make bench`: medians of interleaved rounds (least-most), one machine.\n"]
    for record in records:
        parts.append(table(msgspec.convert(record["result"], Result)))
        about = record["machine"]
        parts.append(f"{record['rounds']} rounds, {about['date']}, {about['processor']}, commit {about['commit']}.\n")
    if records:
        parts.append("\n".join(f"- {key}: {value}" for key, value in records[-1]["machine"].items() if key != "commit"))
    (RESULTS / "README.md").write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    sys.exit(main())
