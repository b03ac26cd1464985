"""`@hotplate.cached` on methods, closures and changed functions, and where it does not belong."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import hotplate
from hotplate.cache.functions.calls import Cachable, Rules
from hotplate.errors import HotplateError
from tests.cache.counted import ALL_KINDS, Counted

pytestmark = pytest.mark.usefixtures("fresh")


def test_changed_functions_read_nothing_old() -> None:
    """Another body is another function, though its name is the same; comments and lines do not count."""

    def made(source: str) -> Cachable:
        names: dict[str, Any] = {"__name__": "shop"}
        exec(source, names)  # noqa: S102  # a module of the test's own
        return Cachable(names["price"], Rules(60.0, 0.0, (), None, ()))

    one = made("def price(a):\n    return a + 1")
    assert made("# more\n\ndef price(a):\n    # more\n    return a + 1").digest(b"", "") == one.digest(b"", "")
    for source in ("return a + 2", "return a - 1", "return (lambda b: b + 2)(a)", "return b + 1"):
        assert made(f"def price(a):\n    {source}").digest(b"", "") != one.digest(b"", "")
    nested = [made(f"def price(a):\n    return (lambda b: b + {each})(a)").digest(b"", "") for each in (1, 2)]
    assert nested[0] != nested[1]
    assert one.digest(b"", "1") != one.digest(b"", "2")
    assert one.call_tag(b"x") == made("def price(a):\n    return a").call_tag(b"x") != one.call_tag(b"y")


def test_closures_are_part_of_a_function() -> None:
    """What a factory makes differs by what it was made with; what cannot be compared keeps to itself."""

    def made(held: Any) -> Any:
        @hotplate.cached(ttl=60)
        def price() -> Any:
            return getattr(held, "number", held)

        return price

    class Thing:
        def __init__(self, number: int) -> None:
            self.number = number

    assert [made(number)() for number in (1, 2, 1)] == [1, 2, 1]
    assert [made(Thing(number))() for number in (1, 2, 3)] == [1, 2, 3]


@dataclass(frozen=True)
class Shop:
    """Has cached methods."""

    city: str

    @hotplate.cached(ttl=60)
    def price(self, item: int = 1) -> tuple[str, int, int]:
        """Return a price."""
        return self.city, item, next(counts)

    @hotplate.cached(ttl=60)
    async def later(self, item: int) -> list[Any]:
        """Return a price, later."""
        return [self.city, item]

    @classmethod
    @hotplate.cached(ttl=60)
    def kind(cls) -> str:
        """Return the name of the class."""
        return cls.__name__

    @staticmethod
    @hotplate.cached(ttl=60)
    def double(item: int) -> int:
        """Return twice as much."""
        return item * 2


class Branch(Shop):
    """Inherits them."""

    __cache_key__ = ("branch",)


counts = itertools.count()


def test_methods_are_cached_by_their_object() -> None:
    """A method's value is its object's, by value; what belongs to the function is bound together with it."""
    assert Shop("a").price(1) == Shop("a").price(item=1) == Shop.price(Shop("a"))
    assert Shop("b").price(1)[0] == "b"
    before = Shop("a").price(1)
    Shop("b").price.invalidate(1)
    assert Shop("a").price(1) == before
    Shop("a").price.invalidate(1)
    after = Shop("a").price(1)
    assert after != before
    Shop("a").price.invalidate()
    assert Shop("a").price(1) != after
    assert Shop("a").price.refresh(1) == Shop("a").price(1)
    assert Shop("a").price.uncached(1)[0] == "a"
    assert asyncio.run(_awaited(Shop("a").later(1))) == ["a", 1]
    assert inspect.iscoroutinefunction(Shop("a").later)
    assert (Shop.kind(), Branch.kind()) == ("Shop", "Branch")  # type: ignore[call-arg]  # mypy knows @classmethod on functions
    assert Shop.double(4) == 8
    assert Branch("x").price(1)[0] == "x"
    assert (Shop.price.__name__, Shop.price.__doc__) == ("price", "Return a price.")


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def test_what_stands_in_its_place_looks_like_it() -> None:
    """Name, signature, documentation and being async are the function's own."""

    @hotplate.cached(ttl=60)
    async def price(item: int, /, *, net: bool = False) -> int:
        """Return a price."""
        return item

    assert inspect.isfunction(price)
    assert inspect.iscoroutinefunction(price)
    assert str(inspect.signature(price)) == "(item: 'int', /, *, net: 'bool' = False) -> 'int'"
    assert price.__doc__ == "Return a price."


def named(ident: int) -> None:
    """Take an argument."""


def generator() -> Iterator[int]:
    """Yield."""
    yield 1


async def async_generator() -> Any:
    """Yield."""
    yield 1


@pytest.mark.parametrize(
    ("given", "on", "said"),
    [
        ({}, generator, "generator is a generator, which is used up by being read. Return a list"),
        ({}, async_generator, "async_generator is a generator"),
        ({}, Shop, "Shop is not a function"),
        ({}, 5, "5 is not a function"),
        ({}, classmethod(repr), "it stands above @classmethod. Put @classmethod above @hotplate.cached"),
        ({"ttl": 0}, len, "its ttl is 0"),
        ({"ttl": "5 apples"}, len, "ttl='5 apples': it is not a duration"),
        ({"ttl": -1}, len, "not between 0 and a year"),
        ({"ttl": float("nan")}, len, "not between 0 and a year"),
        ({"ttl": None}, len, "ttl=None is not a duration"),
        ({"swr": "x"}, len, "swr='x'"),
        ({"tags": "a:{id}"}, named, "names 'id', which is no argument of it. Use one of ident."),
        ({"tags": (1,)}, lambda: 1, "its tag 1 is not text"),
    ],
)
def test_misuse_is_refused_at_once(given: dict[str, Any], on: Any, said: str) -> None:
    """What cannot work is refused where it is written."""
    with pytest.raises(HotplateError) as caught:
        hotplate.cached(**{"ttl": 60, **given})(on)
    assert said in str(caught.value)


@ALL_KINDS
def test_wrong_calls_raise_what_the_function_raises(is_async: bool) -> None:
    """A call that the function would refuse is refused by it, in its own words."""
    counted = Counted(is_async)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        counted(z=1)
    failing = Counted(is_async, key=lambda a: a["x"])
    with pytest.raises(TypeError, match="subscriptable"):
        failing(1)
    unkeyable = Counted(is_async, key=lambda a: a)
    with pytest.raises(HotplateError, match="its key function returned an object"):
        unkeyable(object())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing was named"),
        ({"tags": "articles"}, "tags is a text"),
        ({"url": "articles/7"}, "is not a whole URL"),
        ({"url": "/articles/7"}, "is not a whole URL"),
        ({"url": "ftp://a/b"}, "is not a whole URL"),
        ({"url": "http://user@a/b"}, "is not a whole URL"),
        ({"url": "http://[a/b"}, "is not a URL"),
        ({"url": ["http://a/b", ""]}, "is not a whole URL"),
    ],
)
def test_invalidating_nothing_is_refused(given: dict[str, Any], said: str) -> None:
    """A call that would invalidate nothing by mistake says so."""
    with pytest.raises(HotplateError, match=said):
        hotplate.cache.invalidate(**given)
