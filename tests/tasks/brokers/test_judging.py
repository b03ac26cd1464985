"""Duplicates are excused by interruptions only."""

from __future__ import annotations

import pytest

from tests.tasks.brokers.judging import twice_for_no_reason
from tests.tasks.brokers.work import Line


def lines(*texts: str) -> list[Line]:
    """Read lines such as "began a 1"."""
    return [Line(what, which, int(main)) for what, which, main in map(str.split, texts)]


@pytest.mark.parametrize(
    ("journal", "wrong"),
    [
        (["began a 1", "done a 1", "began a 1"], ["a"]),
        (["began a 1", "killed 1 1", "began a 2"], []),
        (["began a 1", "killed 2 2", "began a 2"], ["a"]),
        (["began a 1", "killed 9 1", "began a 1"], []),
        (["began a 1", "done a 1", *(f"began {which} 1" for which in "bcde"), "killed 1 1", "began a 2"], ["a"]),
        (["began a 1", *(f"began {which} 1" for which in "bcde"), "killing 9 1", "killed 9 1", "began a 1"], []),
        (["began a 1", "killing 9 1", *(f"began {which} 1" for which in "bcde"), "killed 9 1", "began a 1"], []),
        (["killing 9 1", "began a 1", "done a 1", "killed 9 1", "began a 1"], []),
        (["began a 1", "killed 1 1", "began a 2", "began a 2"], ["a"]),
        (["began a 1", "broker kill 0", "began a 1"], []),
        (["sending a 5", "killed 5 5", "sending a 6", "sent a 6", "began a 1", "began a 1"], []),
        (["sending a 5", "sent a 5", "began a 1", "began a 1"], ["a"]),
    ],
)
def test_a_second_run_needs_a_reason(journal: list[str], wrong: list[str]) -> None:
    """A task that ran again is excused if it was interrupted, or if its producer was."""
    assert twice_for_no_reason(lines(*journal)) == wrong
