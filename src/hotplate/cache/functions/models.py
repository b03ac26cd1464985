"""Objects of classes that declare their fields, taken apart and put together again without running the class's code."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields
from enum import Enum
from typing import Any, NamedTuple

import msgspec


class DamagedError(Exception):
    """Bytes that no value of ours is in, or one of a class that is unknown here or has changed."""


class Kind(NamedTuple):
    """How the objects of a kind of class are taken apart and put together.

    Args:
        read: gives what an object holds, in plain containers.
        make: makes an object of a class out of that.
    """

    read: Callable[[Any], Any]
    make: Callable[[Any, Any], object]


def kind_of(model: type) -> Kind | None:
    """Return how to deal with the objects of a class; None where it does not declare what they hold.

    Example:
        >>> kind_of(NamedTuple("Point", [("x", int)])) is None, kind_of(tuple) is None
        (False, True)
    """
    # A subclass that is no dataclass or named tuple itself may hold more than it declares.
    if "__dataclass_fields__" in model.__dict__:
        return _DATACLASS
    if issubclass(model, msgspec.Struct):
        return _STRUCT
    if issubclass(model, tuple) and "_fields" in model.__dict__:
        return _NAMED
    markupsafe = sys.modules.get("markupsafe")
    if markupsafe is not None and model is markupsafe.Markup:
        return _MARKUP
    pydantic = sys.modules.get("pydantic")
    return _PYDANTIC if pydantic is not None and issubclass(model, pydantic.BaseModel) else None


def named_in(annotation: object) -> Iterator[type]:
    """Yield the classes that an annotation names, and those that their fields name, each once."""
    seen: set[int] = set()
    left = [annotation]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        left.extend(typing.get_args(each))
        if not isinstance(each, type):
            continue
        if issubclass(each, Enum):
            yield each
        elif kind_of(each) is not None:
            yield each
            left.extend(hints(each).values())


def hints(thing: object) -> dict[str, Any]:
    """Return annotations with their names resolved; none where a name cannot be."""
    try:
        return typing.get_type_hints(thing)
    except Exception:  # noqa: BLE001  # an annotation is any code; what it fails with only costs a miss
        return {}


def _make_dataclass(model: type, content: Any) -> object:  # noqa: ANN401  # out of a store
    _check(content, [each.name for each in fields(model)])
    made: object = object.__new__(model)
    for name, each in content.items():
        object.__setattr__(made, name, each)  # frozen ones, too; neither __init__ nor __post_init__ runs again
    return made


def _make_struct(model: Any, content: Any) -> object:  # noqa: ANN401  # out of a store
    _check(content, model.__struct_fields__)
    return model(**content)


def _make_named(model: Any, content: Any) -> object:  # noqa: ANN401  # out of a store
    if type(content) is not list or len(content) != len(model._fields):
        raise DamagedError("fields")
    return tuple.__new__(model, content)


_STATE = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def _read_pydantic(value: Any) -> list[Any]:  # noqa: ANN401  # of any class
    held = {name: each for name, each in value.__dict__.items() if name in type(value).model_fields}
    return [held, *(getattr(value, name) for name in _STATE)]


def _make_pydantic(model: Any, content: Any) -> object:  # noqa: ANN401  # out of a store
    # As its own __setstate__ does, which is how pydantic copies: validators do not run again.
    held, *state = content
    _check(held, model.model_fields)
    made: object = object.__new__(model)
    object.__setattr__(made, "__dict__", held)
    for name, each in zip(_STATE, state, strict=True):
        object.__setattr__(made, name, each)
    return made


def _check(content: object, names: Collection[str]) -> None:
    if type(content) is not dict or len(content) != len(names) or not content.keys() >= set(names):
        raise DamagedError("fields")


def _by_name(names: Callable[[Any], Collection[str]]) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: getattr(value, name) for name in names(value)}


_DATACLASS = Kind(_by_name(lambda value: [each.name for each in fields(value)]), _make_dataclass)
_STRUCT = Kind(_by_name(lambda value: value.__struct_fields__), _make_struct)
_NAMED = Kind(list, _make_named)
_MARKUP = Kind(str, lambda model, content: model(content))  # templates' own: text that needs no escaping
_PYDANTIC = Kind(_read_pydantic, _make_pydantic)
