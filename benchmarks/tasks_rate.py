"""Empty tasks on two processes: how fast they are sent, how fast they are done, how soon one begins, what idling costs.

Beside ours: Celery by itself with its default settings, on Redis and on the two transports of Kombu that need no
server. Those look for messages once a second, and forget one whose worker is killed; that is shown, too.
"""

from __future__ import annotations

import functools
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from redis import Redis

from benchmarks.cache import redis
from benchmarks.chores import Place, Way, until
from benchmarks.processes import Server
from benchmarks.rounds import Result, Row, Spread, turning

OURS, CELERY_REDIS = "hotplate, embedded broker", "celery, Redis"
FILES, SQL = "celery, kombu filesystem", "celery, kombu SQLAlchemy + SQLite"
WAYS = {
    way.name: way
    for way in (
        Way(OURS, hotplate=True),
        Way("hotplate, Redis", hotplate=True, url="{redis}"),
        Way(CELERY_REDIS, hotplate=False, url="{redis}"),
        Way(FILES, hotplate=False, url="filesystem://"),
        Way(SQL, hotplate=False, url="sqla+sqlite:///{folder}/queue.sqlite"),
    )
}
BACKLOG = 10_000  # tasks, as many as in the test of kills
WINDOW = 5.0  # seconds from the first task done, in which those done are counted; the slow ones do not get through
IN_TURN = 200  # tasks of which each is sent when one before it is done: as many at once as there are processes
IDLE = 5.0  # seconds
STAMPS = 30  # tasks sent one by one to idle workers
LOST_AFTER = 15.0  # seconds in which a task may come back


class Rates(NamedTuple):
    """What a round measured: tasks per second, milliseconds, per cent of a core."""

    sent: float
    backlog: float
    in_turn: float
    latency: float
    idle: float


def rates(rounds: int, progress: Callable[[str], None]) -> Result:
    """Measure all ways; then kill a worker of each."""
    found: dict[str, list[Rates]] = {name: [] for name in WAYS}
    survived: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as made, redis(Path(made)) as url:
        for number, name in turning(list(WAYS), rounds):
            progress(f"tasks-rate {number + 1}/{rounds} {name}")
            empty = functools.partial(_empty, WAYS[name], made, url)
            found[name].append(_measured(empty(), empty))
        for name, way in WAYS.items():
            progress(f"tasks-rate: kill -9 {name}")
            survived[name] = _survives(_empty(way, made, url))
    rows = [_row(name, found[name], came_back=survived[name]) for name in WAYS]
    rows += _comparisons(found)
    latency, idle = Spread.of([r.latency for r in found[OURS]]), Spread.of([r.idle for r in found[OURS]])
    rows.append(Row("delay() to start, embedded broker", f"{latency} ms", "<= 20 ms", latency.median <= 20))
    rows.append(Row("idle CPU, all processes / 2 workers", f"{idle} % of a core", "<= 1 %", idle.median <= 1))
    raw = {name: {"rounds": [r._asdict() for r in of], "came back": survived[name]} for name, of in found.items()}
    title = "Empty tasks, one sender, two processes (Kombu's filesystem and SQLAlchemy look once a second)"
    return Result("tasks-rate", title, tuple(rows), raw)


def _row(name: str, of: list[Rates], *, came_back: bool) -> Row:
    sent, backlog, in_turn, latency, idle = (Spread.of(values) for values in zip(*of, strict=True))
    fate = "came back" if came_back else f"was lost (not back in {LOST_AFTER:.0f} s)"
    return Row(
        name,
        f"sent {sent}/s, done {backlog}/s out of a backlog of {BACKLOG:,}, {in_turn}/s sent in turn, "
        f"begun after {latency} ms, idle {idle} % of a core per worker; killed with a task that is acknowledged late: "
        f"it {fate}",
    )


def _comparisons(found: dict[str, list[Rates]]) -> list[Row]:
    rows = []
    for measure, what in (
        ("in_turn", "done, sent in turn"),
        ("backlog", "done, out of a backlog"),
        ("sent", "sent"),
    ):
        for other, bar in ((FILES, 20.0), (SQL, 20.0), (CELERY_REDIS, 0.5)):
            pairs = zip(found[OURS], found[other], strict=True)
            ratio = Spread.of([getattr(ours, measure) / getattr(theirs, measure) for ours, theirs in pairs])
            rows.append(Row(f"{what}: embedded / {other}", f"{ratio} x", f">= {bar:g} x", ratio.median >= bar))
    return rows


def _empty(way: Way, made: str, url: str) -> Place:
    """Return a place that nothing has been sent to."""
    Redis.from_url(url).flushall()
    return Place(Path(tempfile.mkdtemp(dir=made)), way, url)


def _measured(first: Place, second: Callable[[], Place]) -> Rates:
    sent = first.send(BACKLOG, "nothing")
    with first.workers() as server:
        until(first.bytes, server)
        began, before = time.perf_counter(), first.bytes()
        until(lambda: first.bytes() > BACKLOG, server, WINDOW)
        backlog = (first.bytes() - before) / (time.perf_counter() - began)
    place = second()
    with place.workers() as server:
        place.send(0, "nothing")
        until(place.bytes, server)
        in_turn = place.send(IN_TURN, "nothing", in_turn=place.way.workers, seconds=WINDOW)
        latency = _latency(place, server)
        idle = _idle(server) / place.way.workers
    return Rates(sent, backlog, in_turn, latency, idle)


def _latency(place: Place, server: Server) -> float:
    """Return the median of milliseconds from delay() to the beginning of a task that finds the workers idle."""
    time.sleep(1.5)  # what was sent in turn is done even where it is looked for once a second
    place.log.write_text("")
    count = STAMPS if place.way.wakes else STAMPS // 6
    place.send(count, "stamp", "now")
    until(lambda: len(place.lines()) > count, server)
    return 1000 * statistics.median(float(line) for line in place.lines()[1:])


def _idle(server: Server) -> float:
    """Return per cent of a core that all the processes take while there is nothing to do."""
    time.sleep(1)
    began, before = time.perf_counter(), _nanoseconds(server)
    time.sleep(IDLE)
    return 100 * (_nanoseconds(server) - before) / 1e9 / (time.perf_counter() - began)


def _nanoseconds(server: Server) -> int:
    """Return how long all threads have been on a core, from schedstat (proc(5)): ticks of 10 ms are too coarse here."""
    total = 0
    for process in server.tree():
        for file in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(file.read_text().split()[0])
    return total


def _survives(place: Place) -> bool:
    """Kill the workers while a task is running, start them again, and say whether the task is run again."""
    there = place.folder / "there"
    there.touch()
    with place.workers() as server:
        place.send(0, "hold", "held", str(there))
        until(place.lines, server)
        for process in server.tree():
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
    with place.workers() as server:
        came_back = until(lambda: len(place.lines()) > 1, server, LOST_AFTER)
        there.unlink()
    return came_back
