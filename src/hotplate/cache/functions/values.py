"""What functions return, as bytes and back, without pickle: bytes from a store can neither run nor import anything.

It is msgpack, with an extension type for whatever msgpack would turn into something else. A class is rebuilt only if
this process knows it already: from the function's return annotation, or because the function has returned it here. No
name is ever looked up in a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from hotplate.cache.functions.advice import instead
from hotplate.cache.functions.byvalue import a_named, class_name
from hotplate.cache.functions.leaves import LEAVES, UnstorableError
from hotplate.cache.functions.models import DamagedError, Kind, kind_of

__all__ = ["DamagedError", "UnstorableError", "Values"]

_pack = msgspec.msgpack.Encoder().encode
_LEAST, _MOST = -(2**63), 2**64 - 1  # msgpack's integers

# Extension types; never to be given another meaning. Those of leaves begin at 20.
_TUPLE, _SET, _FROZEN, _PAIRS, _BIG, _HALVES, _ENUM, _MODEL = range(1, 9)
_ITERABLES: dict[int, Callable[[list[Any]], object]] = {_TUPLE: tuple, _SET: set, _FROZEN: frozenset, _PAIRS: dict}
_WRITTEN = {leaf.type: leaf for leaf in LEAVES}
_READ = {leaf.code: leaf for leaf in LEAVES}


class Values:
    """Writes and reads the values of one function.

    Args:
        known: asked once, when a class is first met in stored bytes, for those that may be rebuilt.
        kinds: knows how to deal with further classes.

    Example:
        >>> values = Values()
        >>> values.decode(values.encode({"at": (1, {2, 3}), b"raw": None}))
        {'at': (1, {2, 3}), b'raw': None}
    """

    def __init__(
        self, known: Callable[[], Iterable[type]] = tuple, kinds: Callable[[type], Kind | None] = kind_of
    ) -> None:
        self._kind_of = kinds
        self._ask: Callable[[], Iterable[type]] | None = known
        self._known: dict[str, type] = {}
        self._unpack = msgspec.msgpack.Decoder(ext_hook=self._rebuilt).decode
        self._writers: dict[type, Callable[[Any], Any]] = {
            **dict.fromkeys((type(None), bool, float, bytes), _as_it_is),
            str: _text,
            int: _number,
            list: lambda value: [self._plain(each) for each in value],
            dict: self._dict,
            tuple: lambda value: self._many(_TUPLE, value),
            set: lambda value: self._many(_SET, value),
            frozenset: lambda value: self._many(_FROZEN, value),
        }

    def encode(self, value: object) -> bytes:
        """Return `value` as bytes.

        Raises:
            UnstorableError: it is, or holds, something that cannot be kept.

        Example:
            >>> Values().encode(object())
            Traceback (most recent call last):
                ...
            hotplate.cache.functions.leaves.UnstorableError: an object
        """
        try:
            return _pack(self._plain(value))
        except RecursionError:
            found = f"{a_named(type(value))} that holds itself or is nested too deeply"
            raise UnstorableError(found, "Return something flatter.") from None

    def decode(self, data: bytes) -> Any:  # noqa: ANN401  # whatever was encoded
        """Return the value; each time a new one, so that callers may change what they get.

        Raises:
            DamagedError: no value is in `data`, or one of a class that is not known here or has other fields now.
        """
        try:
            return self._unpack(data)
        except Exception as problem:  # noqa: BLE001  # whatever a damaged byte breaks, it is damage
            raise DamagedError(str(problem)) from None

    def _plain(self, value: Any) -> Any:  # noqa: ANN401  # whatever a function returns; what msgpack can write
        write = self._writers.get(type(value))
        if write is not None:
            return write(value)
        leaf = _WRITTEN.get(type(value))
        if leaf is not None:
            return Ext(leaf.code, _pack(leaf.write(value)))
        if isinstance(value, Enum):
            self._known[class_name(type(value))] = type(value)
            member = value.name if value.name in type(value).__members__ else value.value
            return Ext(_ENUM, _pack([class_name(type(value)), member]))
        return self._model(value)

    def _dict(self, value: dict[Any, Any]) -> Any:  # noqa: ANN401  # what msgpack can write
        if all(type(key) is str and _text(key) is key for key in value):
            return {key: self._plain(each) for key, each in value.items()}
        return self._many(_PAIRS, map(list, value.items()))

    def _many(self, code: int, value: Iterable[Any]) -> Ext:
        return Ext(code, _pack([self._plain(each) for each in value]))

    def _model(self, value: Any) -> Ext:  # noqa: ANN401  # whatever a function returns
        kind = self._kind_of(type(value))
        if kind is None:
            raise UnstorableError(a_named(type(value)), instead(value))
        name = class_name(type(value))
        if self._known.get(name) is not type(value):
            _check_made(kind, value)
            self._known[name] = type(value)
        return Ext(_MODEL, _pack([name, self._plain(kind.read(value))]))

    def _rebuilt(self, code: int, data: memoryview) -> object:
        content = self._unpack(data)
        if code in _ITERABLES and type(content) is list:
            return _ITERABLES[code](content)
        if code in _READ:
            return _READ[code].read(content)
        if code == _BIG:
            return int(content, 16)
        if code == _HALVES:
            return content.decode("utf-8", "surrogatepass")
        return self._of_class(code, *content)

    def _of_class(self, code: int, name: str, content: Any) -> object:  # noqa: ANN401  # out of a store
        model = self._known.get(name)
        if model is None and self._ask is not None:
            ask, self._ask = self._ask, None
            self._known = {class_name(each): each for each in ask()} | self._known
            model = self._known.get(name)
        if model is not None and code == _ENUM and issubclass(model, Enum):
            members = model.__members__
            return members[content] if type(content) is str and content in members else model(content)
        kind = self._kind_of(model) if model is not None and code == _MODEL else None
        if kind is None or model is None:
            raise DamagedError(name)
        return kind.make(model, content)


def _as_it_is(value: object) -> object:
    return value


def _text(value: str) -> Any:  # noqa: ANN401  # what msgpack can write
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as os.fsdecode makes them
            return Ext(_HALVES, _pack(value.encode("utf-8", "surrogatepass")))
    return value


def _number(value: int) -> Any:  # noqa: ANN401  # what msgpack can write
    return value if _LEAST <= value <= _MOST else Ext(_BIG, _pack(b"%x" % value))


def _check_made(kind: Kind, value: object) -> None:
    """Have an object of a class that was not met before made anew, so that nothing is kept that is never read."""
    try:
        kind.make(type(value), kind.read(value))
    except UnstorableError:
        raise
    except Exception as problem:  # noqa: BLE001  # a class's own code
        found = f"{a_named(type(value))}, which cannot be made anew ({type(problem).__name__}: {problem})"
        raise UnstorableError(found, "Return a dict, or a dataclass without another base.") from None
