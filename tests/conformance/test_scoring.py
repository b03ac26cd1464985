"""The scores we publish are those the suite's own site would show."""

from __future__ import annotations

from tests.conformance.scoring import Case, Outcome, Report, Verdict

REUSED: Outcome = ("Assertion", "Response 2 comes from cache")
CASES = [
    Case("fresh", "cc", "reuses what is fresh", "optimal"),
    Case("stale", "cc", "does not reuse what is stale", "required", ("fresh",)),
    Case("vary", "vary", "does not reuse another variant", "required"),
    Case("vary-star", "vary", "never reuses Vary: *", "required", ("vary",)),
    Case("looks", "other", "does it?", "check"),
    Case("in a browser", "other", "for browsers", "required", browser=True),
]


def report(**outcomes: Outcome) -> Report:
    """A run in which all that is not named passed."""
    return Report(
        CASES, {case.id: True for case in CASES} | {name.replace("_", "-"): o for name, o in outcomes.items()}
    )


def test_all_passed() -> None:
    """Tests for browsers are not counted."""
    assert report().score("required") == (3, 3, 3)
    assert report().misses("required", "optimal", "check") == {}
    assert report().unsafe() == {}


def test_what_depends_on_a_failure_is_void_on_the_site_but_counted_by_itself() -> None:
    """Both counts are published: a test's own outcome, and with all it depends on."""
    failed = report(fresh=("Assertion", "Response 2 does not come from cache"))
    assert failed.score("required") == (3, 3, 2)
    assert failed.verdict("stale") is Verdict.DEPENDENCY
    assert failed.verdict("stale", alone=True) is Verdict.PASS


def test_reuse_that_is_forbidden_is_unsafe() -> None:
    """A required test that fails because a response came from cache counts, also where what it depends on fails too."""
    assert set(report(vary=REUSED, vary_star=REUSED).unsafe()) == {"vary", "vary-star"}
    assert set(report(stale=REUSED).unsafe()) == {"stale"}


def test_what_a_cache_cannot_do_it_cannot_do_wrongly() -> None:
    """Where an optional feature is missing, tests of its limits say nothing."""
    assert report(fresh=("Assertion", "Response 2 does not come from cache"), stale=REUSED).unsafe() == {}


def test_a_failure_in_the_preparation_is_told_apart() -> None:
    """Neither a pass nor an assertion: the cache did not do what the test begins with."""
    assert report(vary=("Setup", "Response 2 status is 200, not 304")).verdict("vary") is Verdict.SETUP
    assert report(vary=("Setup", "retry")).verdict("vary") is Verdict.RETRY
    assert report(vary=("AbortError", "The operation was aborted")).verdict("vary") is Verdict.HARNESS
    assert Report(CASES, {}).verdict("vary") is Verdict.UNTESTED
    assert report(looks=("Assertion", "no")).misses("check") == {"looks": "fail: no"}
