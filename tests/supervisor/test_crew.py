"""A process of the crew and its line to the master: ready, beats, told to leave, and left alone."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from hotplate.apps.target import Target
from hotplate.settings import Settings
from hotplate.supervisor import crew
from hotplate.supervisor.channel import Channel
from hotplate.supervisor.job import Job
from hotplate.supervisor.messages import Beat, Drain, Drained, Fork, FromWorker, Outgrown, Ready, Role, ToWorker, Warmed
from hotplate.supervisor.mold import Birth
from hotplate.tasks.worker.counting import Counts, Running
from tests.supervisor.fake_master import Line
from tests.support.waiting import wait_until


class Signals:
    """What this process was sent."""

    def __init__(self) -> None:
        self.taken: list[signal.Signals] = []

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Note it."""
        self.taken.append(signal.Signals(number))


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Take SIGTERM and SIGQUIT instead of ending by them."""
    noted = Signals()
    before = {number: signal.signal(number, noted.take) for number in (signal.SIGTERM, signal.SIGQUIT)}
    yield noted
    for number, handler in before.items():
        signal.signal(number, handler)


def job(theirs: socket.socket, role: Role = "tasks", settings: Settings | None = None) -> Job:
    """Return what a process of the crew is told to do."""
    order = Fork(0, 1, 0, role, 2, turn=3)
    birth = Birth(0, 1, time.monotonic(), theirs, (), order)
    return Job(birth, settings or Settings(grace=30.0), Target(module="app"), Path(), None)


@contextmanager
def talking(role: Role = "tasks", settings: Settings | None = None) -> Iterator[tuple[crew.Talk, Line]]:
    """Have a process of the crew talk to a master."""
    mine, theirs = socket.socketpair()
    channel: Channel[FromWorker, ToWorker] = Channel(theirs, ToWorker)
    line = Line(mine, FromWorker)
    talk = crew.Talk(channel, job(theirs, role, settings), (Warmed("models", 0.5),))
    yield talk, line
    line.channel.send(Drain(0.0))
    wait_until(lambda: not [each for each in threading.enumerate() if each.name == "hotplate-line"], what="it ends")
    line.channel.close()
    theirs.close()


def test_says_first_that_it_is_ready(signals: Signals) -> None:
    """What is counted before is not told: the master would not know what to make of it."""
    with talking() as (talk, line):
        talk.counts(Counts())
        talk.ready(())
        talk.counts(Counts(succeeded=2))
        assert line.hear(Ready).warmed == (Warmed("models", 0.5),)
        tally = line.hear(Beat).tasks
        assert tally
        assert tally.succeeded == 2
        assert isinstance(line.heard[0], Ready)


def test_an_order_to_drain_is_a_sigterm_then_a_sigquit(signals: Signals) -> None:
    """Celery finishes what runs; when the grace is over it gives back what does, and the master hears how much."""
    with talking() as (talk, line):
        talk.ready(())
        talk.counts(Counts(running=(Running("1", "a", 1.0), Running("2", "b", 1.0))))
        line.channel.send(Drain(3600.0))
        wait_until(lambda: signals.taken == [signal.SIGTERM], what="SIGTERM")
        assert talk.is_over()
        line.channel.send(Drain(0.1))
        wait_until(lambda: signals.taken == [signal.SIGTERM, signal.SIGQUIT], what="SIGQUIT")
        assert line.hear(Drained).abandoned == 2


def test_a_dead_master_is_an_order_to_drain(signals: Signals) -> None:
    """Nobody would replace this process, or stop it."""
    mine, theirs = socket.socketpair()
    talk = crew.Talk(Channel(theirs, ToWorker), job(theirs, settings=Settings(grace=0.2)), ())
    mine.close()
    wait_until(lambda: signals.taken == [signal.SIGTERM, signal.SIGQUIT], what="both signals, one after the other")
    assert talk.is_over()
    theirs.close()


def test_a_beat_beats_by_itself_and_is_told_by_a_question(signals: Signals) -> None:
    """Its loop asks whether to stop; no signal is needed before the grace is over."""
    with talking("beat") as (talk, line):
        talk.ready_alone()
        line.hear(Ready)
        assert line.hear(Beat).tasks is None
        assert not talk.is_over()
        line.channel.send(Drain(3600.0))
        wait_until(talk.is_over, what="it is to stop")
        assert signals.taken == []


def test_a_master_that_does_not_read_holds_nobody_up(signals: Signals) -> None:
    """Beats are skipped then; tasks are run."""
    with talking() as (talk, line):
        talk.ready(())
        many = tuple(Running(str(number), "a" * 1000, 1.0) for number in range(50))
        for _ in range(50):
            talk.counts(Counts(running=many))
        line.hear(Ready)


def test_asks_to_be_replaced_when_the_main_process_grew_too_large(
    signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in a row, and by the setting that the processes of its pool have, too."""
    monkeypatch.setattr(crew, "_SAMPLE", 0.0)
    with talking(settings=Settings(task_memory=1024)) as (talk, line):
        talk.ready(())
        talk.counts(Counts())
        talk.counts(Counts())
        assert "(task_memory)" in line.hear(Outgrown).why


def test_a_child_does_not_keep_the_line_open(signals: Signals) -> None:
    """The master would take it for the process that has died."""
    with talking() as (talk, _line):
        pid = os.fork()
        if pid == 0:
            talk.in_child()
            os._exit(0 if talk._line.fileno() < 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_names_are_told_apart_by_instance_folder_and_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two releases beside each other, or two instances, never take each other's messages for a dead one's."""
    mine, theirs = socket.socketpair()
    names = set()
    for name in ("default", "blue"):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / folder)
            monkeypatch.setenv("PWD", str(tmp_path / folder))
            names.add(crew.node(job(theirs, settings=Settings(name=name))))
    assert len(names) == 4
    assert all("-3@" in name for name in names)
    mine.close()
    theirs.close()
