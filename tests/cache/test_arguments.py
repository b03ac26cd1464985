"""Keys of calls: equal for equal arguments, never equal for different ones."""

from __future__ import annotations

import datetime as dt
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hotplate.cache.functions.arguments import Arguments
from hotplate.cache.functions.byvalue import UnkeyableError, encode
from hotplate.errors import HotplateError
from tests.cache.values_of_all_kinds import VALUES, Colour, Point, shape


@settings(max_examples=400, deadline=None)
@given(VALUES, VALUES)
@example(1, True)
@example(1, 1.0)
@example("1", b"1")
@example([1], (1,))
@example({1}, frozenset({1}))
@example(Colour.GREEN, "RED")
@example(Colour.RED, Colour.GREEN)
@example({"a": 1}, [["a", 1]])
@example("", None)
@example(Point(1, 2), (1, 2))
def test_different_values_differ(one: Any, other: Any) -> None:
    """Two values have the same bytes exactly if they are the same value of the same type."""
    assert (encode(one) == encode(other)) == (shape(one) == shape(other))


@settings(max_examples=400, deadline=None)
@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
@example(["ab", "c"], ["a", "bc"])
@example([["a"], []], [[], ["a"]])
def test_neighbours_do_not_run_together(ones: list[Any], others: list[Any]) -> None:
    """Where one argument ends and the next begins is part of the key."""

    def function(*values: Any) -> None: ...

    read = Arguments(function, "function")
    same = shape(ones) == shape(others)
    assert (read.key(tuple(ones), {}) == read.key(tuple(others), {})) == same


def given_in_any_way(a: Any, b: Any = 2, *rest: Any, c: Any = 3, **more: Any) -> None:
    """Has parameters of all kinds but one."""


def positional_only(a: Any, b: Any = 2, /, c: Any = 3) -> None:
    """Has the kind that is left."""


@pytest.mark.parametrize(
    ("function", "ways"),
    [
        (
            given_in_any_way,
            [((1,), {}), ((1, 2), {}), ((), {"a": 1}), ((), {"c": 3, "b": 2, "a": 1}), ((1,), {"b": 2, "c": 3})],
        ),
        (given_in_any_way, [((1,), {"x": 1, "y": 2}), ((), {"y": 2, "a": 1, "x": 1})]),
        (positional_only, [((1,), {}), ((1, 2), {}), ((1, 2, 3), {}), ((1,), {"c": 3})]),
    ],
)
def test_how_it_is_passed_does_not_matter(
    function: Callable[..., Any], ways: list[tuple[tuple[Any, ...], dict[str, Any]]]
) -> None:
    """By position or by name, in whatever order, given or by default: it is the same call."""
    read = Arguments(function, "function")
    assert len({read.key(args, kwargs) for args, kwargs in ways}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((1, 2, 3), {}), ((1, 3, 2), {})),
        (((1,), {"x": 1}), ((1,), {"y": 1})),
        (((1, 2, ("x", 1)), {}), ((1,), {"x": 1})),
        (((1,), {"c": {"x": 1}}), ((1,), {"x": 1})),
    ],
)
def test_which_parameter_matters(one: Any, other: Any) -> None:
    """The same values for other parameters are another call."""
    read = Arguments(given_in_any_way, "function")
    assert read.key(*one) != read.key(*other)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"a": 1}), ((1,), {"z": 1}), ((), {"a": 1, "b": 2})]
)
def test_what_cannot_be_called_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Arguments that the function would refuse have no key."""
    with pytest.raises(TypeError):
        Arguments(positional_only, "function").key(args, kwargs)


_MISSING = object()


def test_a_default_may_be_a_mere_mark() -> None:
    """A default that only says "not given" is equal to itself, and to nothing else."""

    def function(a: Any = _MISSING) -> None: ...

    read = Arguments(function, "function")
    assert read.key((), {}) == read.key((_MISSING,), {}) != read.key((None,), {})
    with pytest.raises(HotplateError):
        read.key((object(),), {})


class Session:
    """Has nothing that tells its objects apart."""


class Derived(Point):
    """A subclass that may hold more than it declares."""


class Text(str):
    """A text that may hold more than that."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Session(), "is a tests.cache.test_arguments.Session, which cannot be compared by value. Pass what tells"),
        ([{"a": Session()}], "is a list with a tests.cache.test_arguments.Session in it"),
        (Derived(1), "Derived"),
        (Text("a"), "Pass a plain str, such as str(value)"),
        (defaultdict(list), "Pass a plain dict, such as dict(value)"),
        (iter([1]), "Pass a list, such as list(value)"),
        (lambda: 1, "function"),
        (memoryview(b""), "memoryview"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_refusals_say_what_to_do(value: Any, said: str) -> None:
    """What cannot be told apart by value is refused: which argument, of what type, and what to do."""

    def page(session: Any, number: int = 1) -> None: ...

    with pytest.raises(HotplateError) as caught:
        Arguments(page, "shop.page").key((value,), {})
    text = str(caught.value)
    assert text.startswith("Cannot cache shop.page: its argument 'session' is ")
    assert said in text
    assert "key=lambda session, number: session.id" in text or "Pass a" in text


def test_self_gets_advice_of_its_own() -> None:
    """A method of a class whose objects cannot be told apart says what the class needs."""

    def price(self: Any) -> None: ...

    with pytest.raises(HotplateError, match="__cache_key__"):
        Arguments(price, "Shop.price").key((Session(),), {})


def test_classes_may_say_what_tells_their_objects_apart() -> None:
    """`__cache_key__` is a method or an attribute; objects of other classes stay other objects."""

    class Shop:
        def __init__(self, number: int) -> None:
            self.number = number

        def __cache_key__(self) -> int:
            return self.number

    class Other(Shop): ...

    assert encode(Shop(1)) == encode(Shop(1)) != encode(Shop(2))
    assert encode(Shop(1)) != encode(Other(1))


def test_what_holds_itself_is_refused() -> None:
    """A list in itself is an error, not a crash."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnkeyableError, match="holds itself"):
        encode(endless)
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    with pytest.raises(UnkeyableError, match="nested too deeply"):
        encode(deep)


def test_order_counts_where_it_is_kept() -> None:
    """Dicts are equal whatever their order; ordered ones are not."""
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})
    assert encode(OrderedDict(a=1, b=2)) != encode(OrderedDict(b=2, a=1))


def test_zones_differ_though_their_offsets_agree() -> None:
    """Two places with the same time today have different summers."""
    from zoneinfo import ZoneInfo

    moment = dt.datetime(2026, 1, 1)  # noqa: DTZ001  # the zone comes next
    assert encode(moment.replace(tzinfo=ZoneInfo("Europe/Berlin"))) != encode(
        moment.replace(tzinfo=ZoneInfo("Europe/Paris"))
    )


def test_equal_classes_of_other_names_differ() -> None:
    """The class is part of a dataclass's value."""

    @dataclass
    class Here:
        x: int

    assert encode(Here(1)) != encode(Point(1, 0))
    assert encode(Here) != encode(Point)
