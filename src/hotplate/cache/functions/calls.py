"""One cached function: the keys of its calls, the record of a value, and what may be done with one that was found."""

from __future__ import annotations

import math
import random
import string
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hotplate.cache.current import MOST_TAGS
from hotplate.cache.functions.arguments import Arguments
from hotplate.cache.functions.byvalue import UnkeyableError, a_named, encode
from hotplate.cache.functions.code import identity
from hotplate.cache.functions.models import hints, named_in
from hotplate.cache.functions.values import DamagedError, UnstorableError, Values
from hotplate.cache.key import slot_of
from hotplate.errors import ExitCode, HotplateError

Tags = str | Iterable[str] | Callable[..., str | Iterable[str]]

_UNIQUE = frozenset({type(None), bool, int, float, str, bytes})  # nobody can change them, so all may have the same one
_NOTHING: Any = object()
_CERTAINLY_FRESH = 20.0  # times the cost: the chance to be refreshed earlier than that is e^-20


class State(Enum):
    """What may be done with a value: return it, return it and refresh it in the background, or compute."""

    FRESH = 1
    AGEING = 2
    DEAD = 3


class Record(msgspec.Struct, frozen=True, array_like=True, tag="call"):
    """A value as it is stored.

    Args:
        fresh: wall-clock seconds until which it is fresh.
        cost: seconds it took to compute.
        tags: what it can be invalidated by, those of cached functions called meanwhile among them.
        value: as `Values` has encoded it.
    """

    fresh: float
    cost: float
    tags: tuple[str, ...]
    value: bytes


class Held(NamedTuple):
    """A value in memory.

    Args:
        record: as it is stored.
        value: itself, where nobody could change it.
    """

    record: Record
    value: Any


class Rules(NamedTuple):
    """What `@hotplate.cached` was given; durations in seconds."""

    ttl: float
    swr: float
    tags: Tags
    key: Callable[..., Any] | None
    vary: tuple[str, ...]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Record).decode


class Cachable:
    """A function and how it is cached.

    Args:
        function: as it was written.
        rules: what the decorator was given.

    Attributes:
        name: module and qualified name.
        function: the same.
        rules: the same.
        tag: invalidates all its entries.
    """

    def __init__(self, function: Callable[..., Any], rules: Rules) -> None:
        self.function = function
        self.rules = rules
        self.name = f"{_module(function.__module__)}.{function.__qualname__}"
        self.tag = f"function:{self.name}"
        self.arguments = Arguments(function, self.name)
        self.values = Values(lambda: named_in(hints(function).get("return")))
        self.is_warned = False
        self._identity = identity(function, self.name)
        self._hash = blake2b(b"", digest_size=32)
        self._release: str | None = None
        self._check_tags()

    def content(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """Return what tells this call from others of the function.

        Raises:
            HotplateError: an argument, or what `key` returns, cannot be compared by value.
            TypeError: the function cannot be called like this.
        """
        if self.rules.key is None:
            return self.arguments.key(args, kwargs)
        key = self.rules.key(*args, **kwargs)
        try:
            return b"k" + encode(key)
        except UnkeyableError as refused:
            raise HotplateError(
                f"cache {self.name}",
                f"its key function returned {refused.found}, which cannot be compared by value",
                "Have it return text, numbers, dates, or a tuple of those.",
                code=ExitCode.FAILED,
            ) from None

    def can_be_called(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether the function takes such arguments."""
        try:
            self.arguments.signature.bind(*args, **kwargs)
        except TypeError:
            return False
        return True

    def digest(self, content: bytes, release: str) -> bytes:
        """Return where the value of a call is stored: 32 bytes.

        Not even a hostile argument gives one digest to two calls (blake2b, RFC 7693, 128 bits of security), so unlike
        with responses, which anybody may ask for, the whole key is not kept.

        Args:
            content: of the call.
            release: version of the code.
        """
        if release != self._release:
            begun = blake2b(b"hotplate.cached\0", digest_size=32)
            begun.update(encode([release, self._identity]))
            self._hash, self._release = begun, release
        whole = self._hash.copy()
        whole.update(content)
        return whole.digest()

    def call_tag(self, content: bytes) -> str:
        """Return the tag that invalidates the entry of one call, whatever the version of the code."""
        return f"call:{blake2b(encode([self.name, content]), digest_size=24).hexdigest()}"

    def tags(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> set[str]:
        """Return the tags that the decorator gives to this call.

        Raises:
            HotplateError: they are no texts.
        """
        given = self.rules.tags
        if callable(given):
            given = given(*args, **kwargs)
        found = [given] if isinstance(given, str) else list(given)
        if not all(isinstance(each, str) for each in found):
            raise self.refusal("one of its tags is not text", 'Have tags be texts, such as f"article:{article.id}".')
        if any("{" in each for each in found) and not callable(self.rules.tags):
            named = dict(zip(self.arguments.names, self.arguments.values(args, kwargs), strict=True))
            found = [each.format_map(named) for each in found]
        return set(found)

    def pack(self, value: object, tags: Iterable[str], now: float, cost: float) -> Held:
        """Return a value as it is kept.

        Raises:
            HotplateError: it, or something in it, has no safe form as bytes.
        """
        try:
            encoded = self.values.encode(value)
        except UnstorableError as refused:
            whole = a_named(type(value))
            inside = "" if refused.found.startswith(whole) else f"{whole} with "
            raise self.refusal(f"it returned {inside}{refused.found}", refused.remedy) from None
        record = Record(now + self.rules.ttl, cost, tuple(sorted(tags)), encoded)
        return Held(record, value if type(value) in _UNIQUE else _NOTHING)

    def unpack(self, data: bytes, _full: bytes = b"") -> Held | None:
        """Return what is stored; None where it is damaged, or of a class that is unknown here or has changed."""
        try:
            record = _unpack(data)
            value = self.values.decode(record.value)
        except (msgspec.DecodeError, DamagedError, RecursionError):
            return None
        return Held(record, value if type(value) in _UNIQUE else _NOTHING)

    def value(self, held: Held) -> Any:  # noqa: ANN401  # what the function has returned
        """Return the value for a caller, who may change it."""
        return self.values.decode(held.record.value) if held.value is _NOTHING else held.value

    def state(self, held: Held, now: float) -> State:
        """Say what may be done with a value.

        Shortly before its time is over it is refreshed with a likelihood that grows with what it costs, so that no
        moment comes at which all would wait (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
        Stampede Prevention", VLDB 2015; beta is 1).
        """
        record = held.record
        left = record.fresh - now
        if left > record.cost * _CERTAINLY_FRESH:
            return State.FRESH
        if left > 0:
            return State.AGEING if left < -record.cost * math.log(1.0 - random.random()) else State.FRESH  # noqa: S311  # chance, no secret
        return State.AGEING if left > -self.rules.swr else State.DEAD

    def slots(self, held: Held) -> tuple[int, ...]:
        """Return the slots of a value's tags."""
        return tuple({slot_of(tag) for tag in held.record.tags})

    def is_bounded(self, held: Held) -> bool:
        """Whether it depends on few enough tags to be kept."""
        return len(held.record.tags) <= MOST_TAGS

    def refusal(self, cause: str, remedy: str) -> HotplateError:
        """Return the error for something that this function cannot be cached with."""
        return HotplateError(f"cache {self.name}", cause, remedy, code=ExitCode.FAILED)

    def _check_tags(self) -> None:
        if callable(self.rules.tags):
            return
        given = [self.rules.tags] if isinstance(self.rules.tags, str) else list(self.rules.tags)
        for tag in given:
            if not isinstance(tag, str):
                raise self.refusal(f"its tag {tag!r} is not text", "Give texts, such as tags=('articles',).")
            for _, field, _, _ in string.Formatter().parse(tag):
                name = "".join(field or "").partition(".")[0].partition("[")[0]
                if field is not None and name not in self.arguments.names:
                    raise self.refusal(
                        f"its tag {tag!r} names {name!r}, which is no argument of it",
                        f"Use one of {', '.join(self.arguments.names)}.",
                    )


def _module(name: str) -> str:
    """Return what others call a module: `python shop.py` invalidates what the workers, who import `shop`, have kept."""
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return str(spec.name) if spec is not None else Path(getattr(main, "__file__", None) or name).stem


def pack(held: Held) -> bytes:
    """Return a value's record as bytes for a store."""
    return _pack(held.record)
