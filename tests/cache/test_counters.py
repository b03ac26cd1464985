"""Counts are never lost: not between threads, not across a fork, not to kill -9, not to a reader."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hotplate.cache import counters as module
from hotplate.cache.counters import BYTES_SERVED, HITS, MISSES, NAMES, Counters, fold, read
from hotplate.cache.owner import Owner, me
from hotplate.cache.stores.folder import locked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where counters will be."""
    return tmp_path / "cache"


def in_child(counters: Counters, times: int) -> None:
    """Count hits in a forked child, which is gone afterwards."""
    child = os.fork()
    if not child:
        for _ in range(times):
            counters.add(HITS)
        os._exit(0)
    os.waitpid(child, 0)


def test_every_name_has_its_number() -> None:
    """The constants are the places of the names."""
    assert [getattr(module, name.upper()) for name in NAMES] == list(range(len(NAMES)))


def test_what_all_processes_count_is_one_sum(folder: Path) -> None:
    """Counts of several processes add up, for them and for who only reads."""
    one, other = Counters(folder), Counters(folder)
    one.add(HITS)
    other.add(HITS, 2)
    other.add(BYTES_SERVED, 1 << 40)
    in_child(one, 10)
    totals = read(folder)
    assert totals is not None
    assert (totals["hits"], totals["bytes_served"], totals["misses"]) == (13, 1 << 40, 0)
    assert totals == one.totals() == other.totals()


def test_threads_at_once_lose_nothing(folder: Path) -> None:
    """Threads that count the same thing at once are all counted; their rows serve the threads after them."""
    counters = Counters(folder)

    def count() -> None:
        for _ in range(20_000):
            counters.add(HITS)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            threads = [threading.Thread(target=count) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    assert counters.totals()["hits"] == 240_000
    words = counters._words
    assert words is not None
    taken = [row for row in range(module._TABLE, module._TABLE + module._ROWS) if words[row * module._WIDTH]]
    assert 1 <= len(taken) <= 4


COUNTING = """
import sys
from pathlib import Path
from hotplate.cache.counters import *
counters = Counters(Path(sys.argv[1]))
for number in range(1000): counters.add(HITS)
print("counted", flush=True)
import signal; signal.pause()
"""


@pytest.mark.process
def test_a_killed_process_is_still_counted(folder: Path) -> None:
    """What was counted before kill -9 stays, also once the row has been given to somebody else."""
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", COUNTING, folder], cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
    assert (read(folder) or {})["hits"] == 2000
    counters = Counters(folder)
    words = counters._words
    assert words is not None
    assert not any(words[row * module._WIDTH] for row in range(module._TABLE, module._TABLE + module._ROWS))
    counters.add(MISSES)
    assert (counters.totals()["hits"], counters.totals()["misses"]) == (2000, 1)


def test_who_dies_while_adding_up_loses_nothing_and_doubles_nothing(folder: Path) -> None:
    """After every word of adding a row to the totals the sum is the same, for readers and for who goes on."""
    dead = Owner(me().pid, me().born + 1, me().space)
    for stop in range(2 * len(NAMES) + 4):
        path = folder / str(stop)
        counters = Counters(path)
        words = counters._words
        assert words is not None
        for number in range(3):
            row = module._claim(words, dead)
            assert row is not None
            row[HITS], row[BYTES_SERVED] = 5, 7 + number
        for _ in itertools.islice(fold(words, module._TABLE + 1), stop):
            assert (counters.totals()["hits"], counters.totals()["bytes_served"]) == (15, 24)
        assert ((read(path) or {})["hits"], (read(path) or {})["bytes_served"]) == (15, 24)
        after = Counters(path)
        after.add(HITS)
        assert ((read(path) or {})["hits"], (read(path) or {})["bytes_served"]) == (16, 24)


def test_a_full_table_takes_the_rows_of_containers_that_are_gone(folder: Path) -> None:
    """Rows that nobody can ask about give way when there is no other, with what they counted."""
    counters = Counters(folder)
    words = counters._words
    assert words is not None
    for number in range(module._ROWS):
        row = module._claim(words, Owner(number + 1, 5, me().space ^ 1))
        assert row is not None
        row[HITS] = 1
    counters.add(HITS)
    assert (read(folder) or {})["hits"] == module._ROWS + 1


def test_where_there_is_no_row_a_process_counts_for_itself(folder: Path) -> None:
    """With a table full of the living, what is counted is seen by this process alone, and nothing fails."""
    counters = Counters(folder)
    words = counters._words
    assert words is not None
    for _ in range(module._ROWS):
        assert module._claim(words, me()) is not None
    counters.add(HITS, 3)
    assert counters.totals()["hits"] == 3
    assert (read(folder) or {})["hits"] == 0


@pytest.mark.parametrize("content", [b"", b"x" * 100, os.urandom(module._SIZE), bytes(module._SIZE)])
def test_a_damaged_file_is_replaced(folder: Path, content: bytes) -> None:
    """A file that is none of ours is nothing to a reader, and makes way for a counter."""
    folder.mkdir(mode=0o700)
    (folder / "counters").write_bytes(content)
    assert read(folder) is None
    counters = Counters(folder)
    counters.add(HITS)
    assert (read(folder) or {})["hits"] == 1


def test_a_deleted_folder_is_counted_in_anew(folder: Path) -> None:
    """After the file is gone, whoever looks at the totals goes on in a new one."""
    counters = Counters(folder)
    counters.add(HITS)
    (folder / "counters").unlink()
    assert counters.totals()["hits"] == 0
    counters.add(HITS)
    assert (read(folder) or {})["hits"] == 1


def test_without_a_folder_a_process_counts_for_itself(tmp_path: Path) -> None:
    """No folder, or one that cannot be used, costs nothing but the others' counts."""
    (tmp_path / "file").write_bytes(b"")
    for folder in (None, tmp_path / "file" / "cache"):
        counters = Counters(folder)
        counters.add(HITS)
        assert counters.totals()["hits"] == 1
        assert bool(counters.fault) == (folder is not None)
    assert read(tmp_path / "nowhere") is None


@pytest.mark.process
def test_a_reader_stops_nobody_and_sees_no_count_twice(folder: Path) -> None:
    """While processes come, count and go, the sums that are read only ever grow, up to what was counted."""
    counters = Counters(folder)
    seen = 0
    for _ in range(6):
        in_child(counters, random.randrange(500))
        totals = read(folder)
        assert totals is not None
        assert totals["hits"] >= seen
        seen = totals["hits"]
        assert Counters(folder).totals()["hits"] == seen


def test_a_row_can_be_claimed_beforehand(tmp_path: Path) -> None:
    """Who counts first finds a row that was claimed while nobody waited, and no other one is taken."""
    counters, other = Counters(tmp_path), Counters(tmp_path)
    counters.warm_up()
    with locked(tmp_path / "counters.lock"):  # whoever wanted to claim one now would wait for ever
        counters.add(HITS)
    assert other.totals()["hits"] == 1
