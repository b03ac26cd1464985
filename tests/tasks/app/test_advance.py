"""A task may tell how far it is as often as it likes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import HotplateError
from hotplate.tasks import advance, progress
from tests.tasks.app.conftest import Make, Run


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[advance.Progress]:
    """What was kept."""
    kept: list[advance.Progress] = []
    monkeypatch.setattr(advance, "_keep", lambda _, told: kept.append(told))
    monkeypatch.setattr(advance, "_bucket", advance.Bucket())
    return kept


def test_it_is_kept_beside_the_state(make: Make, run: Run) -> None:
    """While the task runs, whoever asks is told."""
    app = make()
    seen: list[Any] = []

    @app.task(bind=True)
    def work(self: Any) -> None:
        progress(1, 4, "first")
        seen.append(app.backend.get_task_meta(self.request.id))

    run(work)
    assert seen[0]["status"] == "PROGRESS"
    assert advance.read(seen[0]["result"]) == advance.Progress(1, 4, "first")


def test_a_fast_loop_is_thinned_out_and_its_end_is_told(make: Make, run: Run, told: list[advance.Progress]) -> None:
    """Ten thousand steps are some writes; the last step is one of them."""

    @make().task
    def work() -> None:
        for number in range(10_000):
            progress(number + 1, 10_000)

    run(work)
    assert told[: advance.AT_ONCE] == [advance.Progress(number + 1, 10_000, "") for number in range(advance.AT_ONCE)]
    assert told[-1].percent == 100
    assert len(told) < 1000


def test_a_slow_loop_is_told_whole() -> None:
    """At ten a second nothing is left out; beyond that as many a second."""
    bucket = advance.Bucket()
    assert all(bucket.takes("a", number / 10) for number in range(100))
    bucket = advance.Bucket()
    assert sum(bucket.takes("a", number / 1000) for number in range(10_000)) == pytest.approx(110, abs=2)


def test_another_task_begins_anew() -> None:
    """A worker runs one after the other."""
    bucket = advance.Bucket()
    assert sum(bucket.takes("a", 0.0) for _ in range(100)) == advance.AT_ONCE
    assert bucket.takes("b", 0.0)


def test_without_a_task_nothing_happens(make: Make, told: list[advance.Progress]) -> None:
    """The function works where it is called like one, or run at once."""
    progress(1, 2)

    @make().task
    def work() -> str:
        progress(1, 2)
        return "done"

    assert work() == "done"
    assert work.apply().get() == "done"
    assert told == []


def test_it_never_fails_the_task(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be kept, the task goes on, and the place is left alone for a while."""
    app = make()
    asked: list[int] = []
    monkeypatch.setattr(advance, "_silent_until", 0.0)

    @app.task(bind=True)
    def work(self: Any) -> str:
        def away(*_: Any, **__: Any) -> None:
            asked.append(1)
            raise ConnectionError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(type(self), "update_state", away)
            for number in range(5):
                progress(number, 5)
        return "done"

    assert run(work)[1:] == ("SUCCESS", "done")
    assert len(asked) == 1


@pytest.mark.parametrize(("done", "total"), [("1", 2), (None, 2), (1, "2"), (True, 2), (math.nan, 2), (1, math.inf)])
def test_what_is_no_number_is_refused(done: Any, total: Any) -> None:
    """At once, and not in the browser."""
    with pytest.raises(HotplateError, match="not a number"):
        progress(done, total)


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_percent_is_a_percentage(done: float, total: float | None) -> None:
    """Whatever was told, a bar can be drawn of it."""
    percent = advance.Progress(done, total, "").percent
    assert percent is None if total is None else 0 <= (percent or 0) <= 100


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.dictionaries(
    st.sampled_from(["done", "total", "message", "x"]), inner) | st.lists(inner), max_leaves=8))  # fmt: skip
def test_states_of_others_are_no_progress(kept: Any) -> None:
    """A task may keep anything under a state of its own; what is no progress is not shown as one."""
    found = advance.read(kept)
    assert found is None or (len(found.message) <= 500)


def test_a_message_is_bounded(make: Make, run: Run, told: list[advance.Progress]) -> None:
    """It is for a line on a page."""

    @make().task
    def work() -> None:
        progress(1, 2, "x" * 10_000)

    run(work)
    assert len(told[0].message) == 500
