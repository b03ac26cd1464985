"""Memory of four workers with a 300 MB model over one, shared pages counted once (PSS)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import HOTPLATE, PEERS, Peer
from benchmarks.processes import ROOT, free_port, running
from benchmarks.rounds import Result, Row, Spread, turning


def sharing(rounds: int, progress: Callable[[str], None]) -> Result:
    """Four workers over one, after each has served."""
    gunicorn = PEERS[0]
    one = gunicorn._replace(name="gunicorn -w 1", command=tuple("1" if w == "4" else w for w in gunicorn.command))
    cases = {
        "hotplate, 1 worker": HOTPLATE._replace(command=(*HOTPLATE.command, "--workers", "1")),
        "hotplate, 4 workers": HOTPLATE._replace(command=(*HOTPLATE.command, "--workers", "4")),
        one.name: one,
        gunicorn.name: gunicorn,
    }
    held: dict[str, list[float]] = {name: [] for name in cases}
    for number, name in turning(list(cases), rounds):
        progress(f"memory {number + 1}/{rounds} {name}")
        held[name].append(_megabytes(cases[name]))
    spreads = {name: Spread.of(of) for name, of in held.items()}
    rows = [Row(name, f"{spread} MB") for name, spread in spreads.items()]
    pairs = (("hotplate, 4 workers", "hotplate, 1 worker", 1.5), (gunicorn.name, one.name, None))
    for many, single, bar in pairs:
        ratio = Spread.of([a / b for a, b in zip(held[many], held[single], strict=True)])
        rows.append(
            Row(f"{many} / 1", f"{ratio} x", f"<= {bar} x" if bar else "", ratio.median <= bar if bar else None)
        )
    return Result("memory", "Memory (PSS) with a 300 MB model", tuple(rows), held)


def _megabytes(peer: Peer) -> float:
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(
            peer.words("benchmarks.apps.model:app", port),
            port,
            cwd=ROOT,
            log=Path(folder) / "log",
            env={"PYTHONPATH": str(ROOT)},
        ) as server,
    ):
        for _ in range(400):  # on new connections, so that every worker has served
            server.get()
        return server.pss() / 2**20
