"""The judge of the benchmark that kills workers: what counts as lost, and which second run has an excuse."""

import pytest

from benchmarks.tasks_kills import ACKNOWLEDGED, TASKS, Fates, Kill, judged

# A message m1 with the number 7, run by process 50 of main process 40 from second 10 to 11, then by 51.
CUT = ["m1 7 50 40 begun 10.0"]
WHOLE = [*CUT, "m1 7 50 40 ended 11.0"]
AGAIN = ["m1 7 51 41 begun 20.0", "m1 7 51 41 ended 21.0"]


def fates(lines: list[str], *kills: tuple[int, float]) -> Fates:
    """What became of them, after kills of processes at seconds."""
    return judged(lines, [Kill(pid, "", at) for pid, at in kills])


def test_what_never_ended_is_lost() -> None:
    """A task is lost unless a run of it came to its end."""
    assert fates([]).lost == TASKS
    assert fates(CUT).lost == TASKS
    assert fates(WHOLE).lost == TASKS - 1


@pytest.mark.parametrize("killed", [50, 40], ids=["its process", "its main process"])
def test_a_run_that_was_cut_short_may_be_repeated(killed: int) -> None:
    """The excuse is the kill of the process or of its main one, even if it began just after that."""
    for at in (9.99, 10.5):
        assert fates(CUT + AGAIN, (killed, at)) == Fates(TASKS - 1, 1, 0, 0, 0, 2)


def test_a_run_that_ended_may_be_repeated_if_nobody_could_say_so() -> None:
    """A kill right after the end comes before the acknowledgement; a later one is no excuse."""
    assert fates(WHOLE + AGAIN, (40, 11.01)).unacknowledged == 1
    late = fates(WHOLE + AGAIN, (40, 11.1 + ACKNOWLEDGED))
    assert (late.unacknowledged, late.unexplained) == (0, 1)
    assert [run.pid for run in late.others[0]] == [50, 51]


def test_without_a_kill_there_is_no_excuse() -> None:
    """Neither a kill of another process nor one long before explains a second run."""
    for kills in ((), ((99, 10.5),), ((50, 3.0),)):
        assert fates(WHOLE + AGAIN, *kills).unexplained == 1
        assert fates(CUT + AGAIN, *kills).unexplained == 1


def test_sent_twice_is_not_run_twice() -> None:
    """Two messages with the same number are a sender's doing."""
    other = [line.replace("m1", "m2") for line in AGAIN]
    assert fates(WHOLE + other) == Fates(TASKS - 1, 0, 0, 0, 1, 2)
