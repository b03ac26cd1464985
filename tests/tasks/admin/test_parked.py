"""Parked messages as people see them, and which of them are meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks.admin.changing import Wanted, choose
from hotplate.tasks.admin.parked import distinct, read, summary
from hotplate.tasks.admin.report import ParkedTask
from hotplate.tasks.worker.parking import HEADER


def parked(number: str, at: float = 0.0, reason: str = "failed", task: str = "shop.mail") -> ParkedTask:
    """Return a parked task."""
    return ParkedTask(id=number, task=task, reason=reason, queue="celery", at=at)


def test_read() -> None:
    """The header says why, where from and when."""
    note = {"reason": "poison", "queue": "mail", "at": 5, "detail": "lost its process 5 times"}
    assert read({"id": "1", "task": "shop.mail", HEADER: note}) == ParkedTask(
        id="1", task="shop.mail", reason="poison", queue="mail", at=5.0, detail="lost its process 5 times"
    )


@pytest.mark.parametrize("headers", [{}, {HEADER: None}, {HEADER: "poison"}, {HEADER: {"at": "noon"}}, {"id": None}])
def test_read_what_is_no_task(headers: dict[str, object]) -> None:
    """A message that somebody else has put there is shown as well as can be, and can be named."""
    found = read(headers)
    assert (found.id, found.queue, found.at) == ("at-0.000", "celery", 0.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 9))))
def test_distinct(copies: list[tuple[str, float]]) -> None:
    """Of copies the newest counts, and the order is that of parking."""
    found = distinct(parked(*copy) for copy in copies)
    assert {task.id: task.at for task in found} == {
        each: max(at for i, at in copies if i == each) for each, _ in copies
    }
    assert [task.at for task in found] == sorted(task.at for task in found)


def test_summary() -> None:
    """The most frequent reason comes first, and so many of the newest."""
    found = summary([parked("1", 1), parked("2", 2, "poison"), parked("3", 3)], newest=2)
    assert list(found.reasons.items()) == [("failed", 2), ("poison", 1)]
    assert [task.id for task in found.newest] == ["3", "2"]


TASKS = [parked("aaaa1"), parked("aaaa2", reason="poison"), parked("bbbb1", task="shop.other"), parked("aaaa")]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), ["aaaa1", "aaaa2", "bbbb1", "aaaa"]),
        (Wanted(("bbbb",)), ["bbbb1"]),
        (Wanted(("aaaa",)), ["aaaa"]),
        (Wanted(("bbbb1", "aaaa2")), ["aaaa2", "bbbb1"]),
        (Wanted(reason="poison"), ["aaaa2"]),
        (Wanted(task="shop.other"), ["bbbb1"]),
        (Wanted(reason="poison", task="shop.other"), []),
        (Wanted(("aaaa1",), reason="poison"), []),
    ],
)
def test_chosen(wanted: Wanted, ids: list[str]) -> None:
    """Ids may be cut short where that is clear; a reason and a name narrow down what is meant."""
    assert [task.id for task in choose(TASKS, wanted)] == ids


@pytest.mark.parametrize(("given_id", "cause"), [("cccc", "no parked"), ("bbb", "no parked"), ("", "no parked")])
def test_not_parked(given_id: str, cause: str) -> None:
    """An id that no task has, or too little of one, is refused."""
    with pytest.raises(HotplateError, match=cause) as refused:
        choose(TASKS, Wanted((given_id,)))
    assert refused.value.code is ExitCode.USAGE


def test_not_clear() -> None:
    """The beginning of more than one id is refused."""
    with pytest.raises(HotplateError, match="the ids of 2 parked tasks begin so"):
        choose([parked("aaaa1"), parked("aaaa2")], Wanted(("aaaa",)))
