"""Worker states: the table is complete, ends, and refuses everything it does not list."""

from __future__ import annotations

from itertools import product

import pytest

from hotplate.supervisor.states import FOLLOWS, OutOfOrderError, State, follow


def test_every_pair_of_states_is_decided() -> None:
    """Each transition is either in the table or refused in words."""
    for now, then in product(State, State):
        if then in FOLLOWS[now]:
            assert follow(now, then) is then
        else:
            with pytest.raises(OutOfOrderError, match=f"{now.value} cannot become {then.value}"):
                follow(now, then)


def test_every_life_ends_and_none_begins_again() -> None:
    """From each state a worker can be lost, from gone there is no way, and nobody goes back."""
    order = list(State)
    for now in State:
        assert all(order.index(then) > order.index(now) for then in FOLLOWS[now])
        assert now is State.GONE or State.GONE in FOLLOWS[now]
