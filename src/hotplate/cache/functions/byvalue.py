"""Values as bytes: equal for equal values, never equal for different ones.

Every value is written with its type and its length in front, so that no two lists of values read the same: 1, 1.0 and
True differ, and so do ("ab", "c") and ("a", "bc"). What cannot be told apart by value is refused, because the repr() or
id() of an object would mix up callers or never be found again.
"""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import struct
import sys
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import fields
from enum import Enum
from pathlib import PurePath
from typing import Any

import msgspec

_MOST = 200  # characters of a type's name in a message


class UnkeyableError(Exception):
    """A value that has no form as bytes.

    Args:
        found: the type in words.
        remedy: what to do about it, as a sentence.
    """

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


def encode(value: object) -> bytes:
    """Return `value` as bytes.

    Raises:
        UnkeyableError: it is, or holds, something that cannot be told apart by value.

    Example:
        >>> encode([1, "a"]) == encode([1, "a"]), encode(1) == encode(1.0), encode({1, 2}) == encode({2, 1})
        (True, False, True)
    """
    exact = _EXACT.get(type(value))
    try:
        return exact(value) if exact is not None else _other(value)
    except RecursionError:
        raise UnkeyableError(f"{a_named(type(value))} that holds itself or is nested too deeply") from None


def class_name(kind: type) -> str:
    """Return what a class is called in keys and stored values.

    Example:
        >>> class_name(OrderedDict)
        'collections:OrderedDict'
    """
    return f"{kind.__module__}:{kind.__qualname__}"


def a_named(kind: type) -> str:
    """Return what messages call an object of a class.

    Example:
        >>> a_named(int), a_named(OrderedDict)
        ('an int', 'a collections.OrderedDict')
    """
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    name = name if len(name) <= _MOST else name[:_MOST] + "..."
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def _sized(tag: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (tag, len(content), content)


def _str(value: str) -> bytes:
    return _sized(b"s", value.encode("utf-8", "surrogatepass"))


def _many(tag: bytes, values: Iterable[object]) -> bytes:
    parts = [encode(each) for each in values]
    return b"%s%d:%s" % (tag, len(parts), b"".join(parts))


def _set(tag: bytes, values: Iterable[object]) -> bytes:
    parts = sorted(encode(each) for each in values)
    return b"%s%d:%s" % (tag, len(parts), b"".join(parts))


def _dict(value: dict[Any, Any]) -> bytes:
    parts = sorted(encode(key) + encode(each) for key, each in value.items())
    return b"d%d:%s" % (len(parts), b"".join(parts))


def _zone(zone: dt.tzinfo | None) -> bytes:
    # Two zones may agree today and not next summer; a name tells them apart, an offset does not.
    return _str("" if zone is None else f"{class_name(type(zone))} {zone!r}")


def _datetime(value: dt.datetime) -> bytes:
    return _str(value.replace(tzinfo=None).isoformat()) + b"%d" % value.fold + _zone(value.tzinfo)


def _time(value: dt.time) -> bytes:
    return _str(value.replace(tzinfo=None).isoformat()) + b"%d" % value.fold + _zone(value.tzinfo)


def _timedelta(value: dt.timedelta) -> bytes:
    return b"%d,%d,%d;" % (value.days, value.seconds, value.microseconds)


_EXACT: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: _sized(b"i", b"%x" % value),
    float: lambda value: b"f" + struct.pack("<d", value),
    complex: lambda value: b"c" + struct.pack("<dd", value.real, value.imag),
    str: _str,
    bytes: lambda value: _sized(b"b", value),
    bytearray: lambda value: _sized(b"B", bytes(value)),
    tuple: lambda value: _many(b"t", value),
    list: lambda value: _many(b"l", value),
    set: lambda value: _set(b"S", value),
    frozenset: lambda value: _set(b"Z", value),
    dict: _dict,
    range: lambda value: _many(b"r", (value.start, value.stop, value.step)),
    slice: lambda value: _many(b"R", (value.start, value.stop, value.step)),
    type(...): lambda _: b".",
    dt.datetime: lambda value: b"D" + _datetime(value),
    dt.date: lambda value: b"Y" + _str(value.isoformat()),
    dt.time: lambda value: b"H" + _time(value),
    dt.timedelta: lambda value: b"L" + _timedelta(value),
    decimal.Decimal: lambda value: b"C" + _str(str(value)),
    uuid.UUID: lambda value: b"U" + value.bytes,
}


def _attributes(value: object, names: Iterable[str]) -> bytes:
    pairs = [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    return _str(class_name(type(value))) + _many(b"a", [part for pair in pairs for part in pair])


def _is_dataclass(value: object) -> bool:
    # Not inherited: a subclass that is no dataclass itself may have more that tells its objects apart.
    return "__dataclass_fields__" in type(value).__dict__


def _is_namedtuple(value: object) -> bool:
    return isinstance(value, tuple) and "_fields" in type(value).__dict__


def _is_pydantic(value: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def _pydantic(value: Any) -> bytes:  # noqa: ANN401  # pydantic may not be installed
    extra, private = value.__pydantic_extra__, value.__pydantic_private__
    return b"P" + _attributes(value, type(value).model_fields) + encode(extra) + encode(private)


def _cache_key(value: Any) -> bytes:  # noqa: ANN401  # anything that has __cache_key__
    key = value.__cache_key__
    return b"K" + _str(class_name(type(value))) + encode(key() if callable(key) else key)


def _enum(value: Enum) -> bytes:
    # Flags put together have no name of their own in every version of Python; their value is a number.
    member = value.name if value.name in type(value).__members__ else value.value
    return b"E" + _str(class_name(type(value))) + encode(member)


# Looked through in this order when the exact type is none of the above.
_BY_KIND: tuple[tuple[Callable[[Any], bool], Callable[[Any], bytes]], ...] = (
    (lambda value: hasattr(type(value), "__cache_key__"), _cache_key),
    (lambda value: isinstance(value, Enum), _enum),
    (lambda value: isinstance(value, PurePath), lambda value: b"p" + _str(class_name(type(value))) + _str(str(value))),
    (_is_namedtuple, lambda value: b"n" + _str(class_name(type(value))) + _many(b"t", value)),
    (lambda value: type(value) is OrderedDict, lambda value: b"O" + _many(b"l", list(value.items()))),
    (_is_dataclass, lambda value: b"A" + _attributes(value, [each.name for each in fields(value)])),
    (lambda value: isinstance(value, msgspec.Struct), lambda v: b"M" + _attributes(v, v.__struct_fields__)),
    (_is_pydantic, _pydantic),
    (lambda value: isinstance(value, type), lambda value: b"k" + _str(class_name(value))),
)


def _other(value: object) -> bytes:
    for is_kind, write in _BY_KIND:
        if is_kind(value):
            return write(value)
    raise UnkeyableError(a_named(type(value)), _remedy(value))


def _remedy(value: object) -> str:
    if isinstance(value, dict):
        return "Pass a plain dict, such as dict(value), or of a query string to_dict(flat=False)."
    for kind in (str, int, float, bytes):
        if isinstance(value, kind):
            return f"Pass a plain {kind.__name__}, such as {kind.__name__}(value)."
    if inspect.isgenerator(value) or hasattr(value, "__next__"):
        return "Pass a list, such as list(value): an iterator is used up by being read."
    return ""
