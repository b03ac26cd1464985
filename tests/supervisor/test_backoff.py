"""Back-off: one death costs nothing, a crash loop ever more, and a good life is rewarded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hotplate.supervisor.backoff import CEILING, STABLE, Backoff

DEATH = st.tuples(st.floats(0, 200), st.booleans())


def test_a_crash_loop_waits_twice_as_long_each_time() -> None:
    """At once, then 0.1 s, doubling to half a minute."""
    backoff = Backoff()
    waits = [backoff.died(0.0, served=False) for _ in range(14)]
    assert waits[:6] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert waits[-3:] == [CEILING] * 3


@settings(deadline=None)  # a starved machine is no failure
@given(st.lists(DEATH))
def test_a_worker_that_lived_well_is_replaced_at_once(deaths: list[tuple[float, bool]]) -> None:
    """Whatever went before, a minute of life makes up for it."""
    backoff = Backoff()
    for lived, served in deaths:
        assert 0.0 <= backoff.died(lived, served=served) <= CEILING
    assert backoff.died(STABLE, served=False) == 0.0


@settings(deadline=None)  # a starved machine is no failure
@given(st.integers(1, 200))
def test_workers_that_answered_are_replaced_at_once_however_often(deaths: int) -> None:
    """Killing a serving worker again and again is no crash loop: each time it is worth having back."""
    backoff = Backoff()
    assert {backoff.died(0.5, served=True) for _ in range(deaths)} == {0.0}


@settings(deadline=None)  # a starved machine is no failure
@given(st.lists(DEATH), DEATH)
def test_a_longer_life_never_waits_longer(deaths: list[tuple[float, bool]], last: tuple[float, bool]) -> None:
    """Of two workers with the same past, the one that lived longer, or served, is not replaced later."""
    lived, served = last
    waits = []
    for life, did_serve in ((lived, served), (lived + 5, served), (lived, True)):
        backoff = Backoff()
        for each, had_served in deaths:
            backoff.died(each, served=had_served)
        waits.append(backoff.died(life, served=did_serve))
    assert max(waits) == waits[0]


def test_a_huge_number_of_deaths_is_still_a_number() -> None:
    """A loop that went on for weeks does not overflow."""
    backoff = Backoff()
    backoff.deaths = 10**9
    assert backoff.died(0.0, served=False) == CEILING
