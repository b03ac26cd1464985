"""Requests per second and tail latency, beside the peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import newsdesk
from benchmarks.peers import EMBEDDED, GRANIAN_WSGI, HOTPLATE, PEERS, Peer
from benchmarks.processes import ROOT, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning
from benchmarks.wrk import Load, wrk

Progress = Callable[[str], None]


class Case(NamedTuple):
    """A page under load."""

    name: str
    title: str
    app: str
    path: str
    connections: int
    ratio: float
    seconds: int = 2


HELLO = Case("hello", "Flask hello world, 64 connections", "benchmarks.apps.hello:app", "/", 64, 1.2)
ARTICLE = Case("article", "newsdesk article page, 64 connections", "newsdesk.app:app", "/articles/42", 64, 1.2)
WAITING = Case("waiting", "20 ms waiting view, 500 connections", "benchmarks.apps.hello:app", "/wait", 500, 0.95)


def measured(peer: Peer, case: Case, log: Path) -> Load:
    """Serve, warm up for a second, measure."""
    port = free_port()
    cwd, env = newsdesk.place() if case.app.startswith("newsdesk") else (ROOT, {"PYTHONPATH": str(ROOT)})
    with running(peer.words(case.app, port), port, cwd=cwd, log=log, env=env) as server:
        server.get(case.path)
        wrk(port, case.path, connections=case.connections, seconds=1)
        return wrk(port, case.path, connections=case.connections, seconds=case.seconds)


def against_peers(case: Case, rounds: int, progress: Progress) -> Result:
    """Measure the case with every peer."""
    peers = {peer.name: peer for peer in (HOTPLATE, *PEERS)}
    loads: dict[str, list[Load]] = {name: [] for name in peers}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in turning(list(peers), rounds):
            progress(f"{case.name} {number + 1}/{rounds} {name}")
            loads[name].append(measured(peers[name], case, Path(folder) / f"{name}.log"))
    rates = {name: Spread.of([load.rate for load in of]) for name, of in loads.items()}
    tails = {name: Spread.of([load.p99 for load in of]) for name, of in loads.items()}
    best = max((peer.name for peer in PEERS), key=lambda name: rates[name].median)
    ratio = Spread.of([ours.rate / theirs.rate for ours, theirs in zip(loads["hotplate"], loads[best], strict=True)])
    timeouts = sum(load.timeouts for load in loads["hotplate"])
    rows = [
        Row(
            name, f"{rates[name]} requests/s, p99 {tails[name]} ms, timeouts {sum(one.timeouts for one in loads[name])}"
        )
        for name in sorted(peers, key=lambda name: -rates[name].median)
    ]
    rows.append(Row(f"hotplate / {best}", str(ratio), f">= {case.ratio}", ratio.median >= case.ratio))
    if case is WAITING:
        rows.append(Row("our timeouts", str(timeouts), "0", timeouts == 0))
    else:
        held = tails["hotplate"].median <= tails[best].median
        rows.append(Row("p99 against its", f"{tails['hotplate']} / {tails[best]} ms", "no worse", held))
    raw = {name: [load._asdict() for load in of] for name, of in loads.items()}
    return Result(case.name, case.title, tuple(rows), raw)


def overhead(rounds: int, progress: Progress) -> Result:
    """The whole pipeline over the bare data plane: same app, two workers with one thread each."""
    ours = HOTPLATE._replace(command=(*HOTPLATE.command, "--workers", "2", "--threads", "1"))
    candidates = {ours.name: ours, EMBEDDED.name: EMBEDDED, GRANIAN_WSGI.name: GRANIAN_WSGI}
    loads: dict[str, list[Load]] = {name: [] for name in candidates}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in turning(list(candidates), rounds):
            progress(f"overhead {number + 1}/{rounds} {name}")
            loads[name].append(measured(candidates[name], HELLO, Path(folder) / "log"))
    rows = [Row(name, f"{Spread.of([one.rate for one in of])} requests/s") for name, of in loads.items()]
    for bare, bar in ((EMBEDDED.name, 5), (GRANIAN_WSGI.name, None)):
        pairs = zip(loads[ours.name], loads[bare], strict=True)
        cost = Spread.of([100 * (theirs.rate / mine.rate - 1) for mine, theirs in pairs])
        holds = cost.median < bar if bar else None
        rows.append(Row(f"cost over {bare}", f"{cost} %", f"< {bar} %" if bar else "", holds))
    raw = {name: [load._asdict() for load in of] for name, of in loads.items()}
    return Result("overhead", "Flask hello world: pipeline over bare data plane", tuple(rows), raw)
