"""However many beats run, one sends: real processes, killed, stopped, and cut off from their brokers."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from hotplate.tasks.beat.lock import lock_of
from tests.support.waiting import wait_until
from tests.tasks.beat import beating
from tests.tasks.beat.conftest import EACH, SERVERS, Beats, Tick

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


def counted(beats: Beats) -> int:
    """Returns how often the tick was sent, as the beats themselves have noted."""
    lock = lock_of(beating.site(beats.broker.url))
    wait_until(lock.take, what="nobody has the lock any more")
    try:
        return lock.runs()["tick"].count
    finally:
        lock.give_up()


def assert_in_turn(ticks: list[Tick], *pids: int) -> None:
    """What one process sent comes before all that the next one sent."""
    turns = [pid for number, pid in enumerate(t.pid for t in ticks) if number == 0 or ticks[number - 1].pid != pid]
    assert turns == list(pids)
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


@pytest.mark.parametrize("kind", EACH)
def test_one_of_three_sends_and_after_a_kill_another(kind: str, beats_of: Callable[[str], Beats]) -> None:
    """Exactly one beat sends; killed, another takes over, and no tick is sent twice or skipped."""
    beats = beats_of(kind)
    pids = [beats.start() for _ in range(3)]
    first = beats.ticks.wait_for(5, *pids)[0].pid
    beats.end(first, signal.SIGKILL)
    others = [pid for pid in pids if pid != first]
    second = beats.ticks.wait_for(5, *others)[-1].pid
    for pid in sorted(others, key=lambda pid: pid == second):  # who stands by would take over, for a tick
        assert beats.end(pid) == 0
    ticks = [tick for tick in beats.ticks.look() if tick.task == "tick"]
    assert_in_turn(ticks, first, second)
    # Only the tick within which the first was killed may be there twice, and then it has the same id.
    assert len({tick.id for tick in ticks}) == counted(beats) >= len(ticks) - 1
    assert [tick for tick in beats.ticks.seen if tick.task == "rare"] == []


@pytest.mark.parametrize("kind", EACH)
def test_one_that_is_stopped_in_order_hands_over_at_once(kind: str, beats_of: Callable[[str], Beats]) -> None:
    """A beat that ends lets go of its lock, so that nothing is late, lost or repeated."""
    beats = beats_of(kind)
    first = beats.start()
    beats.ticks.wait_for(3, first)
    second = beats.start()
    assert beats.end(first) == 0
    beats.ticks.wait_for(3, second)
    assert beats.end(second) == 0
    ticks = beats.ticks.look()
    assert_in_turn(ticks, first, second)
    assert len({tick.id for tick in ticks}) == len(ticks) == counted(beats)


@pytest.mark.parametrize("kind", SERVERS)
def test_one_that_slept_too_long_sends_nothing_more(kind: str, beats_of: Callable[[str], Beats]) -> None:
    """A beat that was suspended, and whose place another has taken, stands by when it wakes."""
    beats = beats_of(kind)
    first = beats.start()
    beats.ticks.wait_for(3, first)
    second = beats.start()
    beats.send(first, signal.SIGSTOP)
    beats.ticks.wait_for(3, second)
    beats.send(first, signal.SIGCONT)
    log = beats.folder / "beat0.log"
    wait_until(lambda: b"stands by" in log.read_bytes() or b"waits for" in log.read_bytes(), what="it noticed")
    beats.ticks.wait_for(5, second)
    assert_in_turn(beats.ticks.seen, first, second)


@pytest.mark.parametrize("kind", SERVERS)
def test_the_beat_outlives_its_broker(kind: str, beats_of: Callable[[str], Beats]) -> None:
    """A broker that is killed and comes back finds the beat waiting, and no tick is sent twice."""
    beats = beats_of(kind)
    pid = beats.start()
    beats.ticks.wait_for(3, pid)
    beats.broker.kill()
    log = beats.folder / "beat0.log"
    wait_until(lambda: b"waits for its broker" in log.read_bytes(), what="it noticed that the broker is away")
    beats.broker.start()
    beats.ticks.wait_for(3, pid)
    assert beats.end(pid) == 0
    ids = [tick.id for tick in beats.ticks.look()]
    # Only the one within which the broker was killed may be there twice.
    assert len(set(ids)) >= len(ids) - 1


def test_a_second_app_on_the_same_file_has_a_beat_of_its_own(beats_of: Callable[[str], Beats]) -> None:
    """The lock is an app's, not its file's."""
    beats = beats_of("embedded")
    beats.ticks.wait_for(1, beats.start())
    other = beating.site(beats.broker.url)
    other.main = "another"
    lock = lock_of(other)
    assert lock.take()
    lock.give_up()
