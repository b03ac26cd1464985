"""Results as `make bench` writes them, with made-up figures."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.rounds import Result, Row

_MACHINE = {
    "date": "2026-11-21",
    "processor": "2 x Made-up CPU",
    "memory": "8 GiB",
    "system": "Linux 6.1, CPython 3.11.2",
    "commit": "abc1234",
    "versions": "hotplate 0.1.0, granian 2.8.7",
    "load": "wrk (1 thread) on the same machine and cores",
}
_RATES = {"hotplate": 12_000.0, "granian": 9_800.0, "gunicorn -w 4": 3_100.0, "uWSGI <http>": 7_000.0}


def write(folder: Path) -> None:
    """Put results into the folder `benchmarks/results` of a project at `folder`."""
    target = folder / "benchmarks/results"
    target.mkdir(parents=True)
    for result in (_balance(), _hello()):
        record = {"machine": _MACHINE, "rounds": 5, "result": result}
        (target / f"{result.name}.json").write_bytes(msgspec.json.encode(record))


def _hello() -> Result:
    rows = (
        Row("hotplate", "12,000 (11,000-13,000) requests/s"),
        Row("hotplate / granian", "1.22 (1.2-1.3)", ">= 1.2", holds=True),
        Row("p99 against its", "9 (8-10) / 7 (6-8) ms", "no worse", holds=False),
    )
    raw = {name: [{"rate": rate * share, "p99": 9.0} for share in (0.9, 1.0, 1.1)] for name, rate in _RATES.items()}
    return Result("hello", "Flask hello world, 64 connections", rows, raw)


def _balance() -> Result:
    rows = (Row("4 connections", "0.5 (0.5-0.75)", "<= 0.75", holds=True),)
    return Result("balance", "Share of the busiest of two workers", rows, {"4": [0.5, 0.75]})
