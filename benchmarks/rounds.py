"""Interleaved rounds: every candidate once per round, a fresh process each, in an order that turns round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of the rounds, with the smallest and largest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up the rounds."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """Return "median (least-most)"."""
        return f"{_short(self.median)} ({_short(self.least)}-{_short(self.most)})"


class Row(msgspec.Struct, frozen=True):
    """One line of a result: what was asked for, what was measured, whether it holds; None where nothing was asked."""

    what: str
    measured: str
    bar: str = ""
    holds: bool | None = None


class Result(msgspec.Struct, frozen=True):
    """A scenario's outcome: a title, lines, and every round's raw figures."""

    name: str
    title: str
    rows: tuple[Row, ...]
    raw: Mapping[str, object]


class Scenario(NamedTuple):
    """Something to measure.

    Args:
        name: what `--only` takes.
        run: called with the number of rounds and a function that says how far it is.
    """

    name: str
    run: Callable[[int, Callable[[str], None]], Result]


def turning(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield (round, name): each round begins with another one, so that none is always first on a warm machine."""
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            yield number, name


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
