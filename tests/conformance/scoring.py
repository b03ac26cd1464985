"""Results of http-cache-tests, scored as its site scores them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

# A test passed, or failed by (kind of error, message).
Outcome = bool | tuple[str, str | None]

_REUSED = re.compile(r"^Response \d+ comes from cache|^request \d+ wasn't sent to server")
# Nothing the server sent may arrive where the server hung up: what did arrive was stored before.
_ANSWERED = re.compile(r"includes unexpected header server-request-count", re.IGNORECASE)


class Verdict(StrEnum):
    """What the site shows for one test."""

    PASS = "pass"
    FAIL = "fail"
    DEPENDENCY = "dependency failed"
    SETUP = "setup failed"
    RETRY = "asked twice"
    HARNESS = "harness failed"
    UNTESTED = "untested"


class Case(msgspec.Struct, frozen=True):
    """One test of the suite.

    Args:
        id: its name.
        suite: group it belongs to.
        name: its promise in words.
        kind: `required` and `optimal` ask, `check` only looks.
        depends: tests without which it says nothing.
        browser: whether it is for browsers alone.
    """

    id: str
    suite: str
    name: str
    kind: str
    depends: tuple[str, ...] = ()
    browser: bool = False


class Score(NamedTuple):
    """How many tests of a kind there are, pass, and pass with all they depend on."""

    asked: int
    passed: int
    sound: int


class Report:
    """One run, judged.

    Args:
        cases: the tests of the suite.
        outcomes: what its command printed.
    """

    def __init__(self, cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> None:
        self.cases = {case.id: case for case in cases if not case.browser}
        self.outcomes = outcomes

    def bettered(self, other: Report) -> Report:
        """Return this run with what passed in another one of the same suite."""
        passed = {test: outcome for test, outcome in other.outcomes.items() if outcome is True}
        return Report(list(self.cases.values()), {**self.outcomes, **passed})

    def verdict(self, test: str, *, alone: bool = False) -> Verdict:
        """Judge one test; `alone`: whatever became of those it depends on."""
        outcome = self.outcomes.get(test)
        if outcome is None:
            return Verdict.UNTESTED
        depends = () if alone else self.cases[test].depends
        if any(self.verdict(other) is not Verdict.PASS for other in depends if other in self.cases):
            return Verdict.DEPENDENCY
        if outcome is True:
            return Verdict.PASS
        if outcome is False:
            return Verdict.HARNESS
        kind, message = outcome
        if kind == "Setup":
            return Verdict.RETRY if message == "retry" else Verdict.SETUP
        return Verdict.HARNESS if kind == "AbortError" else Verdict.FAIL

    def score(self, kind: str) -> Score:
        """Count the tests of a kind."""
        of = [case.id for case in self.cases.values() if case.kind == kind]
        passed, sound = (sum(self.verdict(test, alone=alone) is Verdict.PASS for test in of) for alone in (True, False))
        return Score(len(of), passed, sound)

    def misses(self, *kinds: str) -> dict[str, str]:
        """Return the tests of these kinds that did not pass by themselves, each with what the suite says."""
        missed = {}
        for case in self.cases.values():
            verdict = self.verdict(case.id, alone=True)
            if case.kind in kinds and verdict is not Verdict.PASS:
                outcome = self.outcomes.get(case.id)
                missed[case.id] = f"{verdict}: {outcome[1]}" if isinstance(outcome, (tuple, list)) else str(verdict)
        return missed

    def unsafe(self) -> dict[str, str]:
        """Return the required tests that failed because a response was used again that must not be.

        One that depends on an optional feature does not count where the cache lacks that: what is never stored is never
        used wrongly. One that depends on other required tests does, whatever became of them.
        """
        missed = self.misses("required")
        return {test: said for test, said in missed.items() if _reuse(said) and not self._lacks(test)}

    def _lacks(self, test: str) -> bool:
        needs = [self.cases[other] for other in self.cases[test].depends if other in self.cases]
        return any(
            (case.kind != "required" and self.verdict(case.id) is not Verdict.PASS) or self._lacks(case.id)
            for case in needs
        )

    def summary(self) -> str:
        """Say it in one line."""
        counted = ((kind, self.score(kind)) for kind in ("required", "optimal", "check"))
        told = [
            f"{kind} {score.passed} of {score.asked} ({score.sound} with what they depend on)"
            for kind, score in counted
        ]
        return f"{', '.join(told)}; unsafe reuse {len(self.unsafe())}"


def _reuse(said: str) -> bool:
    message = said.partition(": ")[2]
    return bool(_REUSED.search(message) or _ANSWERED.search(message))
