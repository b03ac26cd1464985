"""Who is gone is told without a clock."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as some

from hotplate.tasks.redis import owners
from hotplate.tasks.redis.owners import LOOKS, Owner, Watch

ME = Owner.new("shop-0@web1")
ELSEWHERE = Owner("shop-0@web2", "web2/boot/1", 17, "4711", "c0ffee")


def gone(watch: Watch, *counts: tuple[Owner, int], mine: tuple[Owner, ...] = (ME,)) -> list[str]:
    """Look once."""
    return watch.gone({str(owner): str(count) for owner, count in counts}, [str(owner) for owner in mine])


def test_an_owner_is_read_as_it_was_written() -> None:
    """A name tells its owner, and what is no name tells none."""
    assert Owner.parse(str(ME)) == ME
    strange = ELSEWHERE._replace(slot="a|b|c@d")
    assert Owner.parse(str(strange)) == strange
    assert Owner.parse("somebody") is None


@given(some.lists(some.booleans(), max_size=60))
def test_who_counts_is_there_and_who_stands_still_is_gone(counts: list[bool]) -> None:
    """An owner elsewhere is gone exactly when its count has stood still at as many looks in a row as are agreed on."""
    watch, count, still = Watch(ME), 0, 0
    gone(watch, (ELSEWHERE, count))
    for has_counted in counts:
        count += has_counted
        still = 0 if has_counted else still + 1
        assert gone(watch, (ME, 5), (ELSEWHERE, count)) == ([str(ELSEWHERE)] if still >= LOOKS else [])


def test_a_dead_process_of_this_machine_is_gone_at_once() -> None:
    """Where a process can be seen, nobody waits until its count stands still; a running one is left alone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = ME._replace(pid=process.pid, started=owners.started(process.pid))
        assert gone(Watch(ME), (other, 1)) == []
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie now, which runs nothing any more
        assert gone(Watch(ME), (other, 1)) == [str(other)]
    assert gone(Watch(ME), (other, 1)) == [str(other)]


def test_a_process_id_that_was_given_away_again_tells_nothing() -> None:
    """A process with the same id that started at another time is another one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert gone(Watch(ME), (ME._replace(pid=process.pid, started="1"), 1)) != []
        process.kill()


def test_an_earlier_connection_of_this_process_is_gone_at_once() -> None:
    """What a lost connection had taken comes back with the next one; what an open one has taken stays."""
    earlier, open_one = ME._replace(unique="earlier"), ME._replace(unique="open")
    assert gone(Watch(ME), (earlier, 1), (open_one, 1), mine=(ME, open_one)) == [str(earlier)]


def test_a_successor_elsewhere_takes_its_place_at_its_first_look() -> None:
    """Who has the same place in the same instance is gone when another machine takes that place; not later."""
    successor = ME._replace(slot=ELSEWHERE.slot)
    watch = Watch(successor)
    assert gone(watch, (ELSEWHERE, 1)) == [str(ELSEWHERE)]
    assert gone(watch, (ELSEWHERE, 2)) == []
    assert gone(Watch(ME), (ELSEWHERE, 1)) == []
    assert gone(Watch(successor._replace(slot="")), (ELSEWHERE._replace(slot=""), 1)) == []


def test_who_is_seen_to_run_is_not_gone_however_long_it_stands_still() -> None:
    """A task that runs where others would count, and a process that was paused, keep what they have taken."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = ME._replace(pid=process.pid, started=owners.started(process.pid))
        watch = Watch(ME)
        assert not any(gone(watch, (other, 1)) for _ in range(3 * LOOKS))
        process.kill()
        process.wait()
        assert gone(watch, (other, 1)) == [str(other)]


def test_where_a_process_cannot_be_told_from_its_successor_its_count_tells() -> None:
    """Its id alone may be another one's by now."""
    other = ME._replace(pid=os.getppid(), started="")
    watch = Watch(ME)
    assert [gone(watch, (other, 1)) for _ in range(LOOKS + 1)] == [*[[]] * LOOKS, [str(other)]]


def test_another_users_process_is_seen_too() -> None:
    """A process that we may not signal runs."""
    assert owners._runs(1, owners.started(1)) is (True if owners.started(1) else None)
