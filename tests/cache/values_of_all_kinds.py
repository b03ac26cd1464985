"""Values of every kind that arguments and results may be, for Hypothesis, and what makes two of them one."""

from __future__ import annotations

import datetime as dt
import enum
import struct
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pydantic
from hypothesis import strategies as st


class Colour(enum.Enum):
    """Members like numbers and texts."""

    RED = 1
    GREEN = "RED"


class Size(enum.IntEnum):
    """A member that is a number."""

    ONE = 1


class Rights(enum.Flag):
    """Members that can be put together."""

    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Point:
    """A dataclass."""

    x: Any
    y: Any = 0


@dataclass
class Area:
    """A dataclass with the same fields, and one that is not given."""

    x: Any
    y: Any = 0
    seen: list[Any] = field(default_factory=list, init=False)


class Pair(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


class Row(msgspec.Struct):
    """A msgspec model."""

    x: Any
    y: Any = 0


class Model(pydantic.BaseModel):
    """A pydantic model, with more than it declares."""

    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    x: Any
    y: Any = 0


MODELS = (Point, Area, Pair, Row, Model)

_zones = st.sampled_from(
    [
        None,
        dt.UTC,
        dt.timezone(dt.timedelta(hours=1)),
        dt.timezone(dt.timedelta(hours=1), "X"),
        ZoneInfo("Europe/Berlin"),
    ]
)
# What can be in a set: no NaN, which is in it as often as it is put.
_hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([0.0, 1.0, -1.5]),
    st.floats(allow_nan=False),
    st.text(st.characters(), max_size=5),  # halves of surrogate pairs, too
    st.binary(max_size=5),
    st.decimals(allow_nan=False, places=2),
    st.uuids(),
    st.dates(),
    st.times(timezones=_zones),
    st.datetimes(timezones=_zones),
    st.timedeltas(),
    st.sampled_from([*Colour, *Size, Rights.READ, Rights.READ | Rights.WRITE]),
    st.sampled_from([Path("a"), Path("a/b"), PurePosixPath("a")]),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(_hashable, max_size=3),
        st.frozensets(_hashable, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.dictionaries(_hashable, inner, max_size=3),
        st.sampled_from([Point, Area, Row]).flatmap(lambda model: st.builds(model, inner, inner)),
        st.builds(Pair, inner, inner),
        st.builds(Model, x=inner, y=inner),
    )


VALUES: st.SearchStrategy[Any] = st.recursive(_hashable | st.floats(), _containers, max_leaves=8)


def shape(value: Any) -> Any:
    """Return something that is equal for two values exactly if one may stand for the other."""
    kind = type(value)
    if kind is float:
        return "float", struct.pack("<d", value)
    if kind in {list, tuple, Pair}:
        return kind, tuple(map(shape, value))
    if kind in {set, frozenset}:
        return kind, frozenset(map(shape, value))
    if kind is dict:
        return kind, frozenset((shape(key), shape(each)) for key, each in value.items())
    if kind in {Point, Row, Area}:
        return kind, shape(value.x), shape(value.y), shape(getattr(value, "seen", None))
    if kind is Model:
        return kind, shape(value.__dict__), shape(value.__pydantic_extra__)
    if kind in {dt.datetime, dt.time}:
        return kind, value.replace(tzinfo=None), value.fold, repr(value.tzinfo)
    return kind, str(value) if kind.__name__ == "Decimal" else value
