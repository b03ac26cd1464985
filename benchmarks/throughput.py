"""Requests per second and tail latency, beside the peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import newsdesk
from benchmarks.peers import EMBEDDED, GRANIAN_WSGI, HOTPLATE, PEERS, UNCACHED, Peer
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
    cwd, env = newsdesk.place() if case.app.startswith("newsdesk") else (ROOT, {})
    env = {**env, "PYTHONPATH": f"{cwd}:{ROOT}"}
    with running(peer.words(case.app, port), port, cwd=cwd, log=log, env=env) as server:
        server.get(case.path)
        wrk(port, case.path, connections=case.connections, seconds=1)
        return wrk(port, case.path, connections=case.connections, seconds=case.seconds)


def against_peers(case: Case, rounds: int, progress: Progress) -> Result:
    """Measure the case with every peer."""
    ours = (HOTPLATE, UNCACHED) if case is ARTICLE else (HOTPLATE,)
    peers = {peer.name: peer for peer in (*ours, *PEERS)}
    loads: dict[str, list[Load]] = {name: [] for name in peers}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in turning(list(peers), rounds):
            progress(f"{case.name} {number + 1}/{rounds} {name}")
            loads[name].append(measured(peers[name], case, Path(folder) / f"{name}.log"))
    rates = {name: Spread.of([load.rate for load in of]) for name, of in loads.items()}
    tails = {name: Spread.of([load.p99 for load in of]) for name, of in loads.items()}
    best = max((peer.name for peer in PEERS), key=lambda name: rates[name].median)
    ratio = {name: _ratio(loads[name], loads[best]) for name, *_ in ours}
    timeouts = sum(load.timeouts for load in loads["hotplate"])
    rows = [
        Row(
            name, f"{rates[name]} requests/s, p99 {tails[name]} ms, timeouts {sum(one.timeouts for one in loads[name])}"
        )
        for name in sorted(peers, key=lambda name: -rates[name].median)
    ]
    rows.append(
        Row(f"hotplate / {best}", str(ratio["hotplate"]), f">= {case.ratio}", ratio["hotplate"].median >= case.ratio)
    )
    rows += [Row(f"{peer.name} / {best}", str(ratio[peer.name])) for peer in ours[1:]]
    if case is WAITING:
        rows.append(Row("our timeouts", str(timeouts), "0", timeouts == 0))
    else:
        held = tails["hotplate"].median <= tails[best].median
        rows.append(Row("p99 against its", f"{tails['hotplate']} / {tails[best]} ms", "no worse", held))
    raw = {name: [load._asdict() for load in of] for name, of in loads.items()}
    return Result(case.name, case.title, tuple(rows), raw)


def _ratio(ours: list[Load], theirs: list[Load]) -> Spread:
    return Spread.of([mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)])


def overhead(rounds: int, progress: Progress) -> Result:
    """The whole pipeline over the bare data plane: same app, two workers with one thread each."""
    rows: list[Row] = []
    raw: dict[str, object] = {}
    # The article page would come out of the cache.
    for case, page, peer in ((HELLO, "hello world", HOTPLATE), (ARTICLE, "article page", UNCACHED)):
        ours = peer._replace(command=(*peer.command, "--workers", "2", "--threads", "1", "--task-workers", "0"))
        candidates = {each.name: each for each in (ours, EMBEDDED, GRANIAN_WSGI)}
        loads: dict[str, list[Load]] = {name: [] for name in candidates}
        with tempfile.TemporaryDirectory() as folder:
            for number, name in turning(list(candidates), rounds):
                progress(f"overhead, {page} {number + 1}/{rounds} {name}")
                loads[name].append(measured(candidates[name], case, Path(folder) / "log"))
        for name, of in loads.items():
            rows.append(Row(f"{page}: {name}", f"{Spread.of([one.rate for one in of])} requests/s"))
            raw[f"{page}: {name}"] = [load._asdict() for load in of]
        for bare, bar in ((EMBEDDED.name, 5), (GRANIAN_WSGI.name, None)):
            pairs = zip(loads[bare], loads[ours.name], strict=True)
            cost = Spread.of([100 * (theirs.rate / mine.rate - 1) for theirs, mine in pairs])
            holds = cost.median < bar if bar else None
            rows.append(Row(f"{page}: cost over {bare}", f"{cost} %", f"< {bar} %" if bar else "", holds))
    return Result("overhead", "The whole pipeline over the bare data plane", tuple(rows), raw)
