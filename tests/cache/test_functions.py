"""`@hotplate.cached` on functions, sync and async: what is kept, for how long, and what invalidates it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import hotplate
from hotplate.cache.functions import background
from hotplate.cache.functions.calls import Cachable, Held, Record, Rules, State
from hotplate.errors import HotplateError
from tests.cache.counted import ALL_KINDS, Counted, finish, hotplate_cache
from tests.cache.opened import Clock
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("fresh")


@ALL_KINDS
def test_it_is_called_once(is_async: bool) -> None:
    """Equal arguments, however they are passed, are computed once; others on their own."""
    counted = Counted(is_async)
    assert counted(1, 2) == counted(1, b=2) == counted(b=2, a=1) == [1, 1, 2]
    assert counted(1) == [2, 1, 0]
    assert counted(1.0) == [3, 1.0, 0]


@ALL_KINDS
def test_none_is_a_value_and_an_exception_is_not(is_async: bool) -> None:
    """What returns nothing is not called again; what raises is."""
    counted = Counted(is_async)
    counted.makes = lambda *_: None
    assert (counted(), counted(), counted.calls) == (None, None, 1)

    def fail(*_: Any) -> None:
        raise LookupError("gone")

    counted.makes = fail
    for calls in (2, 3):
        with pytest.raises(LookupError, match="gone"):
            counted(1)
        assert counted.calls == calls


@ALL_KINDS
def test_it_expires(is_async: bool, clock: Clock) -> None:
    """After its time a value is computed anew."""
    counted = Counted(is_async, ttl="1m")
    counted()
    clock.ahead = 59.0
    assert counted()[0] == 1
    clock.ahead = 60.1
    assert counted()[0] == 2


@ALL_KINDS
def test_everybody_gets_their_own(is_async: bool) -> None:
    """Changing what was returned changes nothing for others."""
    counted = Counted(is_async)
    counted(1)
    counted(1).append("mine")
    assert counted(1) == [1, 1, 0]


@ALL_KINDS
def test_calls_and_functions_are_invalidated(is_async: bool) -> None:
    """`.invalidate` with arguments reaches that call, and without them all calls of the function, no other's."""
    counted, other = Counted(is_async), Counted(is_async, key=lambda a=0, b=0: ("other", a, b))
    for each in (counted, other):
        each(1), each(2)
    counted.function.invalidate(1)
    assert (counted(1)[0], counted(2)[0]) == (3, 2)
    counted.function.invalidate()
    assert (counted(1)[0], counted(2)[0]) == (4, 5)


@pytest.mark.parametrize(
    ("tags", "tag"),
    [
        ("article:{a}", "article:7"),
        (("front", "article:{a}"), "article:7"),
        (["front"], "front"),
        (lambda a, **_: f"article:{a}", "article:7"),
        (lambda a, **_: [f"{a}", f"article:{a}"], "article:7"),
        ("article:{a[id]}", "article:8"),
    ],
)
@ALL_KINDS
def test_tags_invalidate(is_async: bool, tags: Any, tag: str) -> None:
    """A tag reaches the calls it was given to, whether it is written out, made of arguments, or computed."""
    counted = Counted(is_async, tags=tags)
    argument: Any = {"id": 8} if tag.endswith("8") else 7
    counted(argument)
    hotplate.cache.invalidate(tag="article:9")
    assert counted(argument)[0] == 1
    hotplate.cache.invalidate(tags=["x", tag])
    assert counted(argument)[0] == 2
    hotplate.cache.invalidate(everything=True)
    assert counted(argument)[0] == 3


@ALL_KINDS
def test_tags_may_be_added_while_it_runs(is_async: bool) -> None:
    """`hotplate.cache.tag` gives a value tags that only its computation knows."""
    counted = Counted(is_async)
    counted.makes = lambda *_: hotplate.cache.tag("found")
    counted()
    hotplate.cache.invalidate(tag="found")
    counted()
    assert counted.calls == 2


@ALL_KINDS
def test_what_is_invalid_inside_is_invalid_outside(is_async: bool) -> None:
    """A value made of another cached value has its tags, whether that was computed or found."""
    inner = Counted(False, tags="inner")
    inner(1)
    outer = Counted(is_async, key=lambda *args: ("outer", *args))
    outer.makes = lambda *_: inner(1)[0] * 100
    assert outer() == 100
    hotplate.cache.invalidate(tag="inner")
    assert outer() == 200
    inner.function.invalidate(1)
    assert outer() == 300
    inner.function.invalidate()
    assert outer() == 400


@ALL_KINDS
def test_what_an_invalidation_overtook_is_not_kept(is_async: bool) -> None:
    """What was computed from before an invalidation, and ends after it, is not there afterwards."""
    counted = Counted(is_async, tags="t")

    def overtaken(*_: Any) -> str:
        hotplate.cache.invalidate(tag="t")
        return "old"

    counted.makes = overtaken
    assert counted() == "old"
    counted.makes = lambda *_: "new"
    assert counted() == "new"
    assert counted() == "new"
    assert counted.calls == 2


@ALL_KINDS
def test_refresh_computes_and_keeps(is_async: bool) -> None:
    """`.refresh` computes although there is a value, and what it gives is there afterwards."""
    counted = Counted(is_async)
    assert counted(1)[0] == 1
    assert finish(counted.function.refresh(1))[0] == 2
    assert counted(1)[0] == 2
    assert finish(counted.function.uncached(1))[0] == 3
    assert counted(1)[0] == 2


@ALL_KINDS
def test_old_values_are_served_while_they_are_refreshed(is_async: bool, clock: Clock) -> None:
    """Within `swr` the old value is given at once and a new one is made in the background; after it nobody gets it."""
    counted = Counted(is_async, ttl=10, swr="10s")
    counted()
    clock.ahead = 15.0
    assert counted()[0] == 1
    wait_until(lambda: counted.calls == 2 and counted()[0] == 2, what="it was refreshed")
    clock.ahead = 40.0
    assert counted()[0] == 3


@ALL_KINDS
def test_an_invalid_value_is_never_served_while_refreshed(is_async: bool, clock: Clock) -> None:
    """`swr` is for what has grown old, not for what is wrong."""
    counted = Counted(is_async, ttl=10, swr=1000, tags="t")
    counted()
    clock.ahead = 15.0
    hotplate.cache.invalidate(tag="t")
    assert counted()[0] == 2


@ALL_KINDS
def test_a_refresh_that_fails_leaves_the_old_value(
    is_async: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong in the background is a line in the log, once a minute, and the old value stays."""
    background._told.clear()
    counted = Counted(is_async, ttl=10, swr=100)
    counted()
    clock.ahead = 15.0

    def fail(*_: Any) -> None:
        raise LookupError("gone")

    counted.makes = fail
    for _ in range(3):
        assert counted()[0] == 1
        wait_until(lambda: background._running._value == background._MOST, what="refreshing has ended")
    assert counted.calls > 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Refreshing tests.cache.counted.Counted" in caplog.text.partition("\n")[0]
    assert "LookupError: gone" in caplog.text


def cachable(**given: Any) -> Cachable:
    """A function with other rules than the usual."""
    rules = Rules(60.0, 0.0, (), None, ())._replace(**given)
    return Cachable(lambda: None, rules)


def test_early_refresh_grows_likelier() -> None:
    """XFetch: a costly value is refreshed ever more likely as its end comes near, a cheap or fresh one never."""
    of = cachable(swr=5.0)

    def share(left: float, cost: float) -> float:
        held = Held(Record(1000.0, cost, (), b""), None)
        states = [of.state(held, 1000.0 - left) for _ in range(4000)]
        assert State.DEAD not in states
        return states.count(State.AGEING) / len(states)

    assert share(30.0, 1.0) == 0.0
    assert share(1.0, 0.001) == 0.0
    # e^-(left / cost), within six standard deviations.
    assert abs(share(1.0, 1.0) - 0.368) < 0.05
    assert abs(share(2.0, 1.0) - 0.135) < 0.04
    assert share(-1.0, 1.0) == 1.0
    assert of.state(Held(Record(1000.0, 1.0, (), b""), None), 1005.1) is State.DEAD


@ALL_KINDS
def test_an_early_refresh_replaces_a_value_that_is_still_fresh(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is chosen to refresh gets the old value, and a new one is made although the old is fresh."""
    state = Cachable.state
    chosen: list[State] = []
    monkeypatch.setattr(Cachable, "state", lambda *args: chosen.pop() if chosen else state(*args))
    counted = Counted(is_async)
    counted()
    chosen.append(State.AGEING)
    assert counted()[0] == 1
    wait_until(lambda: counted.calls == 2 and counted()[0] == 2, what="it was refreshed")


@ALL_KINDS
def test_damaged_entries_are_misses(is_async: bool) -> None:
    """Whatever is in the store where a value was, the function is called and its value put in its place."""
    cache = hotplate_cache()
    counted = Counted(is_async)
    for calls, junk in enumerate([b"", b"junk", b"\x95\xa4call\x01\x02\x90\xc4\x01\xc1", bytes(500)], start=2):
        counted(), counted()
        (key,) = cache.store._kept  # type: ignore[attr-defined]  # it is the local one
        cache.shelf.memory.clear()
        token = cache.store.now()
        assert token is not None
        cache.store.put(key, junk, token, (), 60)
        assert counted()[0] == counted()[0] == calls


def test_values_that_cannot_be_kept_are_refused() -> None:
    """What a function returns and cannot be kept is an error that says which function, what, and what to return."""

    @hotplate.cached(ttl=60)
    def rows() -> list[object]:
        return [object()]

    with pytest.raises(HotplateError) as caught:
        rows()
    assert str(caught.value).startswith("Cannot cache tests.cache.test_functions.")
    assert "rows: it returned a list with an object. Return dicts, lists" in str(caught.value)


def test_too_many_tags_are_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A value that depends on hundreds of others is not kept, and that is said once."""
    counted = Counted(False)
    counted.makes = lambda *_: hotplate.cache.tag(*(f"t{number}" for number in range(300)))
    counted(), counted()
    assert counted.calls == 2
    assert caplog.text.count("is not cached: it depends on 302 tags") == 1


def test_counts() -> None:
    """Hits, misses and what was stored are counted."""
    counted = Counted(False)
    counted(), counted(), counted()
    totals = hotplate_cache().counters.totals()
    assert (totals["function_misses"], totals["function_stored"], totals["function_hits"]) == (1, 1, 2)
