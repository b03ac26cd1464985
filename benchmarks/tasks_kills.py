"""10,000 tasks while their senders and workers are killed every second at random: which are lost, which run twice.

Each sender writes down what the broker has taken; one that was killed goes on with what it has not written down, so the
task it was sending may be sent twice. That is told from a task that was sent once and ran twice: by the message's id.
"""

from __future__ import annotations

import functools
import math
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.chores import Place, Way, task_processes, title, until
from benchmarks.processes import BIN, Server
from benchmarks.rounds import Result, Row

TASKS = 10_000
SECONDS = 0.01  # that a task takes
SENDERS = 2
EVERY = 1.0  # seconds between two kills
STALLED = 60.0  # seconds without anything done, after which what is not done is lost
QUIET = 3.0  # seconds without anything done, after which nothing will be done twice
# A task that has ended is acknowledged by the main process: killed within this many seconds it may not have been.
ACKNOWLEDGED = 1.0
OUTLIVES = 1.0
BROKERS = ("embedded", "redis", "rabbitmq")


class Kill(NamedTuple):
    """A process that was killed: its id, what it was, and when (CLOCK_MONOTONIC)."""

    pid: int
    role: str
    at: float


class Run(NamedTuple):
    """A task that began: where, under which main process, when, and when it ended, if it did."""

    number: int
    pid: int
    main: int
    began: float
    ended: float | None


class Fates(NamedTuple):
    """What became of the tasks.

    Args:
        lost: that never ended.
        cut_short: runs that a kill ended, and that were done again.
        unacknowledged: runs that had ended when a kill came before their acknowledgement, and that were done again.
        unexplained: runs that were done again though no kill came.
        sent_twice: tasks that a sender sent again because it was killed before it had noted them.
        runs: of all.
        others: all runs of the messages that were done again though no kill came, to look into.
    """

    lost: int
    cut_short: int
    unacknowledged: int
    unexplained: int
    sent_twice: int
    runs: int
    others: tuple[tuple[Run, ...], ...] = ()


def kills(_rounds: int, progress: Callable[[str], None]) -> Result:
    """Do it once with each broker."""
    rows, raw = [], {}
    for broker in BROKERS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as made, _served(broker, Path(made)) as url:
            place = Place(Path(made), Way(broker, hotplate=True, url=url))
            killed = _under_kills(place, functools.partial(_say, progress, broker))
            fates = judged(place.lines(), killed)
        rows += _rows(broker, fates, killed, time.monotonic() - began)
        raw[broker] = {"fates": fates._asdict(), "kills": [kill._asdict() for kill in killed]}
    title = f"{TASKS:,} tasks, workers and senders killed (kill -9) every {EVERY:g} s at random"
    return Result("tasks-kills", title, tuple(rows), raw)


def _say(progress: Callable[[str], None], broker: str, text: str) -> None:
    progress(f"tasks-kills {broker}: {text}")


def _rows(broker: str, fates: Fates, killed: Sequence[Kill], seconds: float) -> list[Row]:
    roles = Counter(kill.role for kill in killed)
    many = ", ".join(f"{count} {role}" for role, count in sorted(roles.items()))
    again = fates.cut_short + fates.unacknowledged + fates.unexplained
    return [
        Row(
            f"{broker}: lost, after {len(killed)} kills ({many}) in {seconds:.0f} s",
            str(fates.lost),
            "0",
            not fates.lost,
        ),
        Row(
            f"{broker}: run again: {again} of {fates.runs:,} runs",
            f"{fates.cut_short} cut short by a kill, {fates.unacknowledged} killed before the acknowledgement, "
            f"{fates.unexplained} others",
            "0 others",
            not fates.unexplained,
        ),
        Row(f"{broker}: sent again by a sender that was killed", str(fates.sent_twice)),
    ]


@contextmanager
def _served(broker: str, folder: Path) -> Iterator[str]:
    """Run a broker's server; the same as the tests', with what it took written down before it answers."""
    from tests.support import brokers
    from tests.support.rabbitmq import rabbitmq_server

    home = folder / "server"
    home.mkdir()
    if broker == "embedded":
        yield ""
        return
    with rabbitmq_server(home) if broker == "rabbitmq" else nullcontext() as rabbit:
        made = brokers.rabbitmq_broker(rabbit, folder) if rabbit is not None else brokers.redis_broker(home)
        with made as server:
            yield server.url


def _under_kills(place: Place, progress: Callable[[str], None]) -> list[Kill]:
    """Send and run the tasks under kills, until all are done or nothing moves any more."""
    share = TASKS // SENDERS
    senders = [Sender(place, number * share, (number + 1) * share) for number in range(SENDERS)]
    killed: list[Kill] = []
    with place.workers() as server:
        until(lambda: _task_processes(server), server)
        try:
            _kill_until_done(place, server, senders, killed, progress)
        finally:
            for sender in senders:
                sender.end()
        until(_still(place), server, STALLED)
    return killed


def _kill_until_done(
    place: Place, server: Server, senders: list[Sender], killed: list[Kill], progress: Callable[[str], None]
) -> None:
    moved, size, next_kill = time.monotonic(), -1, time.monotonic() + EVERY
    while True:
        for sender in senders:
            sender.keep_on()
        if place.bytes() != size:
            moved, size = time.monotonic(), place.bytes()
        elif time.monotonic() - moved > STALLED:
            return
        if time.monotonic() < next_kill:
            time.sleep(0.02)
            continue
        next_kill += EVERY * random.uniform(0.5, 1.5)
        done = len(_done(place))
        progress(f"{done:,} done, {len(killed)} kills")
        if done >= TASKS and all(sender.done() for sender in senders):
            return
        victims = [("sender", sender.pid()) for sender in senders if not sender.done()] + _task_processes(server)
        if not victims:  # all is sent, and the workers are just being replaced
            continue
        role, pid = random.choice(victims)
        killed.append(Kill(pid, role, time.monotonic()))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _done(place: Place) -> set[int]:
    return {int(line.split()[1]) for line in place.lines() if line.count(" ended ")}


def _still(place: Place) -> Callable[[], bool]:
    seen = [place.bytes(), time.monotonic()]

    def still() -> bool:
        if place.bytes() != seen[0]:
            seen[:] = [place.bytes(), time.monotonic()]
        return time.monotonic() - seen[1] > QUIET

    return still


def _task_processes(server: Server) -> list[tuple[str, int]]:
    """Return the processes that run tasks, and the main one of which they are children."""
    mains = [process for process in server.tree() if title(process).startswith("hotplate: tasks ")]
    found = [("tasks' main process", process.pid) for process in mains]
    return found + [("task process", process.pid) for process in task_processes(server)]


class Sender:
    """A process that sends the tasks of a range, begun again where it was when it is killed."""

    def __init__(self, place: Place, first: int, last: int) -> None:
        self._place, self._range = place, (first, last)
        self._note = place.folder / f"sent-{first}"
        self._process: subprocess.Popen[bytes] | None = None

    def keep_on(self) -> None:
        """Start it, unless it runs or is done."""
        if self._process is not None and (self._process.poll() is None or self._process.returncode == 0):
            return
        if self._process is not None and self._process.returncode != -signal.SIGKILL:
            raise RuntimeError(
                f"the sender ended with {self._process.returncode}; see {self._place.folder}/senders.log"
            )
        first, last = map(str, self._range)
        words = [
            str(BIN / "python"),
            "-m",
            "benchmarks.chores_kept_sending",
            first,
            last,
            str(SECONDS),
            str(self._note),
        ]
        with (self._place.folder / "senders.log").open("ab") as log:
            env = {**os.environ, **self._place.env}
            self._process = subprocess.Popen(words, cwd=self._place.folder, env=env, stdout=log, stderr=log)

    def done(self) -> bool:
        """Whether all of its tasks are sent."""
        return self._process is not None and self._process.poll() == 0

    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid if self._process is not None else 0

    def end(self) -> None:
        """End it for good."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def judged(lines: Sequence[str], killed: Sequence[Kill]) -> Fates:
    """Say what became of the tasks.

    Args:
        lines: of the log of `write_down`.
        killed: the processes, in any order.

    Example:
        >>> log = ["m1 7 50 40 begun 1.0", "m1 7 51 40 begun 3.0", "m1 7 51 40 ended 3.1"]
        >>> fates = judged(log, [Kill(50, "task process", 2.0)])
        >>> fates.cut_short, fates.unexplained, fates.lost == TASKS - 1
        (1, 0, True)
    """
    runs = _runs(lines)
    deaths = {kill.pid: kill.at for kill in killed}
    counts, others = dict.fromkeys(("cut_short", "unacknowledged", "unexplained"), 0), []
    for of in runs.values():
        of.sort(key=lambda run: run.began)
        whys = [_why_again(run, deaths) for run in of[:-1]]
        for why in whys:
            counts[why] += 1
        if "unexplained" in whys:
            others.append(tuple(of))
    ended = {run.number for of in runs.values() for run in of if run.ended is not None}
    messages: dict[int, int] = defaultdict(int)
    for of in runs.values():
        messages[of[0].number] += 1
    return Fates(
        lost=TASKS - len(ended),
        **counts,
        sent_twice=sum(count > 1 for count in messages.values()),
        runs=sum(map(len, runs.values())),
        others=tuple(others),
    )


def _runs(lines: Sequence[str]) -> dict[str, list[Run]]:
    """Return the runs of each message."""
    open_runs: dict[tuple[str, int], Run] = {}
    runs: dict[str, list[Run]] = defaultdict(list)
    for line in lines:
        message, number, pid, main, what, at = line.split()
        if what == "begun":
            open_runs[message, int(pid)] = Run(int(number), int(pid), int(main), float(at), None)
        else:
            runs[message].append(open_runs.pop((message, int(pid)))._replace(ended=float(at)))
    for (message, _pid), run in open_runs.items():
        runs[message].append(run)
    return runs


def _why_again(run: Run, deaths: dict[int, float]) -> str:
    """Say why a run was followed by another of the same message."""
    # A child outlives its main process by a moment, in which it may begin what it had been given.
    kills = [deaths[pid] for pid in (run.pid, run.main) if deaths.get(pid, -math.inf) >= run.began - OUTLIVES]
    if not kills:
        return "unexplained"
    if run.ended is None:
        return "cut_short"
    return "unacknowledged" if min(kills) - run.ended < ACKNOWLEDGED else "unexplained"
