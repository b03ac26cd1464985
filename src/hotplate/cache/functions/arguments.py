"""The arguments of a call as bytes: which argument belongs to which parameter does not depend on how it was passed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hotplate.cache.functions.byvalue import UnkeyableError, a_named, encode
from hotplate.errors import ExitCode, HotplateError

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_EMPTY = inspect.Parameter.empty
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
_OPEN = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_pack = msgspec.msgpack.Encoder().encode


class Arguments:
    """Reads the arguments of one function.

    Args:
        function: whose signature decides which argument is which.
        name: what messages call it.

    Example:
        >>> def price(item, currency="eur", *, net=False): ...
        >>> read = Arguments(price, "price")
        >>> read.key((1,), {}) == read.key((), {"net": False, "currency": "eur", "item": 1})
        True
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        self.names = tuple(each.name for each in parameters)
        self._defaults = tuple(each.default for each in parameters)
        self._sentinels = {each.name: each.default for each in parameters if _is_sentinel(each.default)}
        self._positional = sum(each.kind in _POSITIONAL for each in parameters)
        self._places = {each.name: place for place, each in enumerate(parameters) if each.kind in _BY_NAME}
        self._is_open = any(each.kind in _OPEN for each in parameters)

    def values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return one value per parameter, in their order, with defaults filled in.

        Raises:
            TypeError: the function cannot be called like this.
        """
        if not self._is_open and len(args) <= self._positional:
            if not kwargs and len(args) == len(self.names):
                return args
            # Ten times faster than Signature.bind, which is left with the unusual and the wrong.
            values, given = [*args, *self._defaults[len(args) :]], len(args)
            for name, value in kwargs.items():
                place = self._places.get(name, -1)
                if place < given:
                    break
                values[place] = value
            else:
                if not any(value is _EMPTY for value in values):
                    return tuple(values)
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """Return the call's arguments as bytes.

        Raises:
            HotplateError: an argument has no form as bytes; says which and what to do.
            TypeError: the function cannot be called like this.
        """
        values = self.values(args, kwargs)
        if _SCALARS.issuperset(map(type, values)):
            try:
                return b"m" + _pack(values)
            except (OverflowError, UnicodeEncodeError):  # more than 64 bits, half of a surrogate pair
                pass
        return b"e" + b"".join(map(self._encode, self.names, values))

    def _encode(self, name: str, value: object) -> bytes:
        if name in self._sentinels and value is self._sentinels[name]:
            return b"?"
        try:
            return encode(value)
        except UnkeyableError as refused:
            raise self._refusal(name, value, refused) from None

    def _refusal(self, name: str, value: object, refused: UnkeyableError) -> HotplateError:
        itself = a_named(type(value))
        what = refused.found if refused.found == itself else f"{itself} with {refused.found} in it"
        is_own = name == self.names[0] and name in {"self", "cls"}
        remedy = refused.remedy or (
            "Give its class a __cache_key__ method that returns what tells its objects apart, or make it a dataclass, "
            f"or pass key=lambda {name}, ...: (...) to @hotplate.cached."
            if is_own
            else f"Pass what tells it apart instead, such as its id, or give @hotplate.cached a key, such as "
            f"key=lambda {', '.join(self.names)}: {name}.id."
        )
        return HotplateError(
            f"cache {self.name}",
            f"its argument {name!r} is {what}, which cannot be compared by value",
            remedy,
            code=ExitCode.FAILED,
        )


def _is_sentinel(default: object) -> bool:
    """Whether a default is an object that only stands for "not given"."""
    if default is _EMPTY:
        return False
    try:
        encode(default)
    except UnkeyableError:
        return True
    return False
