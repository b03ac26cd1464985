"""What the embedded file keeps of results, with a clock that is replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from hotplate.tasks.embedded import file
from hotplate.tasks.embedded.resulttable import Part, ResultTable


class Clock:
    """Seconds since 1970 that pass when told to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Returns them."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The table's clock."""
    return Clock()


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> ResultTable:
    """A table in a file of its own."""
    return ResultTable(file.open(tmp_path / "tasks.sqlite"), clock)


def test_asking_alone_makes_no_table(table: ResultTable) -> None:
    """Whoever only looks writes nothing, so that a full disk does not take status pages away."""
    assert table.load("one") is None
    assert list(table.load_in(["one"], ["SUCCESS"])) == []
    assert table.load_group("one") is None
    assert not table.expire()


def test_the_last_state_counts_and_success_is_final(table: ResultTable) -> None:
    """A late report of a lost copy does not take a success away."""
    for state in ("STARTED", "FAILURE", "SUCCESS", "FAILURE"):
        table.save("one", state, state.encode(), 60)
    assert table.load("one") == b"SUCCESS"
    table.forget("one")
    assert table.load("one") is None
    table.save("one", "STARTED", b"again", 60)
    assert table.load("one") == b"again"


def test_what_has_expired_is_gone_and_may_come_again(table: ResultTable, clock: Clock) -> None:
    """An expired result is not there, deleted yet or not; one without a lifetime stays."""
    table.save("short", "SUCCESS", b"1", 60)
    table.save("ever", "SUCCESS", b"2", None)
    table.save_group("group", b"3", 60)
    clock.now += 60
    assert (table.load("short"), table.load("ever"), table.load_group("group")) == (None, b"2", None)
    table.save("short", "STARTED", b"4", 60)
    assert table.load("short") == b"4"


def test_expired_rows_go_in_small_batches(table: ResultTable, clock: Clock) -> None:
    """No transaction deletes so much that others would have to wait for it."""
    for number in range(450):
        table.save(str(number), "SUCCESS", b"x", 60)
    table.save("young", "SUCCESS", b"x", 120)
    clock.now += 90
    assert [table.expire() for _ in range(4)] == [True, True, False, False]
    assert table.load("young") == b"x"


def test_expired_chords_go_with_their_parts(table: ResultTable, clock: Clock) -> None:
    """A chord whose header was never finished leaves nothing behind."""
    table.begin_chord("chord", 3, 60)
    table.add_part(Part("chord", "one", 0, b"1"), 60)
    clock.now += 61
    assert not table.expire()
    assert table.parts("chord") == []
    assert not table.is_open("chord")


def test_many_are_looked_up_at_once(table: ResultTable) -> None:
    """More ids than one question takes are asked for in several."""
    ids = [str(number) for number in range(1200)]
    for name in ids[::3]:
        table.save(name, "SUCCESS" if int(name) % 2 else "STARTED", name.encode(), None)
    found = dict(table.load_in(ids, ["SUCCESS", "FAILURE"]))
    assert found == {name: name.encode() for name in ids[::3] if int(name) % 2}


@pytest.fixture(scope="module")
def shared() -> Iterator[ResultTable]:
    """A table for many examples."""
    with TemporaryDirectory() as folder:
        yield ResultTable(file.open(Path(folder) / "tasks.sqlite"))


@given(data=st.data(), size=st.integers(1, 6), added=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_chord_is_complete_when_all_its_parts_are_there(
    shared: ResultTable, data: st.DataObject, size: int, added: int
) -> None:
    """In whatever order parts arrive, and however often, the chord is complete with the last one and not before."""
    chord = os.urandom(8).hex()
    parts = list(range(size + added))
    steps = data.draw(st.permutations([*parts, *data.draw(st.lists(st.sampled_from(parts), max_size=6))]))
    shared.begin_chord(chord, size, None)
    for _ in range(added):
        shared.enlarge_chord(chord, None)
    seen: set[int] = set()
    for number in steps:
        seen.add(number)
        complete = shared.add_part(Part(chord, f"task{number}", number, str(number).encode()), None)
        assert complete == (len(seen) == len(parts))
    assert shared.parts(chord) == [str(number).encode() for number in parts]
    shared.end_chord(chord)
    assert not shared.add_part(Part(chord, "task0", 0, b"late"), None)
    assert shared.parts(chord) == []


def test_a_header_that_is_sent_again_is_a_new_chord(table: ResultTable) -> None:
    """A signature may be sent twice, and its body then runs twice."""
    for _ in range(2):
        table.begin_chord("chord", 1, None)
        assert table.add_part(Part("chord", "one", 0, b"1"), None)
        table.end_chord("chord")


def test_parts_may_arrive_before_the_size_is_known(table: ResultTable) -> None:
    """Celery says how long a header is when it sends its last task; others may be done by then."""
    assert not table.add_part(Part("chord", "one", 0, b"1"), None)
    table.begin_chord("chord", 2, None)
    assert table.is_open("chord")
    assert table.add_part(Part("chord", "two", 1, b"2"), None)


def test_parts_without_a_place_come_last_in_their_order(table: ResultTable) -> None:
    """Tasks added to a chord later have no index; their results follow the header's."""
    for task, place in (("added", None), ("second", 1), ("later", None), ("first", 0)):
        table.add_part(Part("chord", task, place, task.encode()), None)
    assert table.parts("chord") == [b"first", b"second", b"added", b"later"]


def test_threads_count_to_the_same_number(table: ResultTable) -> None:
    """Of many that add a part at one moment, exactly one completes the chord."""
    table.begin_chord("chord", 40, None)
    with ThreadPoolExecutor(8) as pool:
        parts = [Part("chord", str(number), number, b"x") for number in range(40)]
        assert sum(pool.map(lambda part: table.add_part(part, None), parts)) == 1
