"""What functions return comes back as what it was, or is refused; hostile bytes do nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, make_dataclass
from typing import Any, NamedTuple

import markupsafe
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from hotplate.cache.functions.models import hints, named_in
from hotplate.cache.functions.values import DamagedError, UnstorableError, Values
from tests.cache.values_of_all_kinds import MODELS, VALUES, Colour, Model, Pair, Point, Size, shape

pack = msgspec.msgpack.encode


def known() -> Iterable[type]:
    """Return all classes of values."""
    return (*MODELS, Colour, Size)


@settings(max_examples=600, deadline=None)
@given(VALUES)
def test_values_come_back(value: Any) -> None:
    """Every value is read as what was written: same types, same values."""
    values = Values()
    assert shape(values.decode(values.encode(value))) == shape(value)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_another_process_reads_them(value: Any) -> None:
    """A process that has never returned such a value reads it, where it knows the classes by annotation."""
    from tests.cache.values_of_all_kinds import Rights

    there = Values(lambda: (*known(), Rights))
    assert shape(there.decode(Values().encode(value))) == shape(value)


def test_each_gets_its_own() -> None:
    """Whoever changes what was returned changes nobody else's."""
    values = Values()
    data = values.encode({"a": [1]})
    values.decode(data)["a"].append(2)
    assert values.decode(data) == {"a": [1]}


def test_classes_are_found_in_annotations() -> None:
    """The classes a function is annotated to return, and those of their fields, are known from the start."""

    def function() -> dict[str, list[Outer] | None]: ...  # type: ignore[empty-body]  # only its annotation is read

    assert set(named_in(hints(function)["return"])) == {Outer, Pair, Colour}


class Outer(NamedTuple):
    """Names other classes."""

    pair: Pair
    colours: tuple[Colour, ...]


def test_annotations_that_cannot_be_resolved_are_none() -> None:
    """A name that is only there for the type checker costs a miss in a new process, no more."""

    def function() -> Missing: ...  # type: ignore[name-defined]  # noqa: F821  # the mistake under test

    assert hints(function) == {}


def test_models_are_made_without_their_code() -> None:
    """Neither `__init__`, `__post_init__` nor a validator runs when a value is read."""
    calls = []

    @dataclass
    class Noted:
        x: int
        later: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            calls.append(self.x)

    values = Values()
    thing = Noted(1)
    thing.later = 5
    data = values.encode(thing)
    calls.clear()
    assert values.decode(data) == thing
    assert calls == []


def test_what_pydantic_knows_of_itself_comes_back() -> None:
    """Which fields were set, further ones and private ones are part of a model."""
    values = Values()
    model = Model(x=1, further="more")  # type: ignore[call-arg]  # extra fields are allowed
    back = values.decode(values.encode(model))
    assert back == model
    assert back.model_fields_set == {"x", "further"}
    assert back.model_dump() == {"x": 1, "y": 0, "further": "more"}


def test_markup_stays_markup() -> None:
    """What a template has escaped is not escaped again."""
    values = Values()
    assert type(values.decode(values.encode(markupsafe.Markup("<b>")))) is markupsafe.Markup


class Cursor:
    """A class that declares nothing."""


class Sub(Point):
    """May hold more than it declares."""


Failing = make_dataclass("Failing", ["x"], bases=(dict,))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Cursor(), "Return dicts, lists, text"),
        ([{"a": Cursor()}], "Return dicts, lists, text"),
        (Sub(1), "Return dicts, lists, text"),
        (iter([1]), "Return a list"),
        (open, "Return dicts"),
        (Failing(1), "Return a dict"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_is_refused(value: Any, said: str) -> None:
    """What would come back as something else is refused, with what to return instead."""
    with pytest.raises(UnstorableError) as caught:
        Values().encode(value)
    assert said in caught.value.remedy


def test_rows_and_responses_get_advice() -> None:
    """The commonest mistakes are answered with the line to write."""
    import flask
    import sqlalchemy as sa
    from sqlalchemy import orm

    class Base(orm.DeclarativeBase): ...

    class Article(Base):
        __tablename__ = "articles"
        id = sa.Column(sa.Integer, primary_key=True)

    with sa.create_engine("sqlite://").connect() as connection:
        rows = connection.execute(sa.text("SELECT 1 AS one"))
        row = rows.one()
    for value, said in [
        (row, "list(map(dict, rows.mappings()))"),
        (Article(id=1), "Return dicts, not ORM objects"),
        (flask.Response("x"), "right below its route"),
    ]:
        with pytest.raises(UnstorableError) as caught:
            Values().encode(value)
        assert said in caught.value.remedy


def test_what_holds_itself_is_refused() -> None:
    """A list in itself is an error, not a crash."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnstorableError, match="holds itself"):
        Values().encode(endless)


@settings(max_examples=800, deadline=None)
@given(st.data())
def test_damage_is_a_miss(data: st.DataObject) -> None:
    """Whatever is done to stored bytes, reading them gives a value or says that they are damaged."""
    values = Values(known)
    stored = bytearray(Values().encode(data.draw(VALUES)))
    for _ in range(data.draw(st.integers(1, 4))):
        if stored:
            place = data.draw(st.integers(0, len(stored) - 1))
            stored[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    modules = set(sys.modules)
    with suppress(DamagedError):
        values.decode(bytes(stored))
    assert set(sys.modules) == modules


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-128, 127),
    st.recursive(st.binary(max_size=20) | st.text() | st.integers(-(2**63), 2**63 - 1), st.lists),
)
def test_unknown_extensions_are_a_miss(code: int, content: Any) -> None:
    """No extension type makes anything that was not asked for."""
    try:
        made = Values(known).decode(pack(Ext(code, pack(content))))
    except DamagedError:
        return
    assert type(made).__module__ in {"builtins", "datetime", "decimal", "uuid", "pathlib"}


_ENUM, _MODEL = 7, 8


@pytest.mark.parametrize(
    ("code", "name", "content"),
    [
        (_MODEL, "antigravity:Flight", {}),
        (_MODEL, "subprocess:Popen", {"args": ["touch", "/tmp/owned"]}),
        (_MODEL, "builtins:object", {}),
        (_ENUM, "antigravity:Flight", "A"),
        (_ENUM, "tests.cache.values_of_all_kinds:Point", "x"),
        (_MODEL, "tests.cache.values_of_all_kinds:Colour", "RED"),
        (_MODEL, "tests.cache.values_of_all_kinds:Point", {"x": 1}),
        (_MODEL, "tests.cache.values_of_all_kinds:Point", {"x": 1, "y": 2, "__class__": 3}),
        (_MODEL, "tests.cache.values_of_all_kinds:Area", [1, 2]),
        (_MODEL, "tests.cache.values_of_all_kinds:Pair", [1]),
        (_MODEL, "tests.cache.values_of_all_kinds:Row", {"x": 1, "z": 2}),
        (_MODEL, "tests.cache.values_of_all_kinds:Model", [{"x": 1}, None, None, None]),
        (_MODEL, ["x"], {}),
    ],
)
def test_no_class_is_made_by_name(code: int, name: Any, content: Any) -> None:
    """A name in the store imports nothing, and an object whose fields are not those of its class is not made."""
    before = set(sys.modules)
    with pytest.raises(DamagedError):
        Values(known).decode(pack(Ext(code, pack([name, content]))))
    assert set(sys.modules) == before
    assert "antigravity" not in sys.modules


def test_zones_are_not_looked_for_by_name() -> None:
    """A time zone in the store names no file and no package."""
    for key in ("../../etc/passwd", "antigravity", "/etc/localtime", "Europe", 7, ["a"]):
        with pytest.raises(DamagedError):
            Values().decode(pack(Ext(20, pack(["2026-01-01", 0, key]))))


def test_endless_nesting_is_a_miss() -> None:
    """Bytes that nest for ever end in a miss, not in a crash."""
    data = pack(None)
    for _ in range(100_000):
        data = b"\x91" + data
    with pytest.raises(DamagedError):
        Values().decode(data)
    data = pack(None)
    for _ in range(3000):
        data = pack(Ext(1, data))
    with pytest.raises(DamagedError):
        Values().decode(data)


def test_claimed_sizes_are_not_believed() -> None:
    """Five bytes that announce four billion members take no memory."""
    with pytest.raises(DamagedError):
        Values().decode(b"\xdd\xff\xff\xff\xff")
    with pytest.raises(DamagedError):
        Values().decode(b"\xdf\xff\xff\xff\xff\x01")


def test_changed_classes_are_a_miss() -> None:
    """A class that has other fields than when the value was stored makes it a miss."""
    before, after = make_dataclass("Thing", ["a"]), make_dataclass("Thing", ["a", "b"])
    before.__module__ = after.__module__ = __name__
    data = Values().encode(before(1))
    with pytest.raises(DamagedError):
        Values(lambda: [after]).decode(data)
