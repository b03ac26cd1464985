"""Values without others in them that msgpack has no form for: dates, decimals, ids, paths."""

from __future__ import annotations

import datetime as dt
import functools
import os
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from pathlib import PosixPath, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

from hotplate.cache.functions.byvalue import a_named
from hotplate.cache.functions.models import DamagedError


class UnstorableError(Exception):
    """A value that cannot be kept.

    Args:
        found: what in it, in words.
        remedy: what to return instead, as a sentence.
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


class Leaf(NamedTuple):
    """How one type is kept.

    Args:
        code: of msgpack's extension type; never another's.
        type: exactly this one.
        write: gives something that msgpack can write.
        read: makes the value of that.
    """

    code: int
    type: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _zone(zone: dt.tzinfo | None) -> object:
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset = zone.utcoffset(None)
        name = zone.tzname(None)
        return [_ticks(offset), None if name == dt.timezone(offset).tzname(None) else name]
    if type(zone) is zoneinfo.ZoneInfo and zone.key in _zones():
        return zone.key
    raise UnstorableError(
        f"a time with {a_named(type(zone))}", "Use datetime.timezone.utc or zoneinfo.ZoneInfo for time zones."
    )


def _read_zone(zone: Any) -> dt.tzinfo | None:  # noqa: ANN401  # out of a store
    if zone is None:
        return None
    if isinstance(zone, list):
        ticks, name = zone
        offset = dt.timedelta(microseconds=ticks)
        return dt.timezone(offset) if name is None else dt.timezone(offset, name)
    if zone not in _zones():  # ZoneInfo would look for a package of that name
        raise DamagedError("zone")
    return zoneinfo.ZoneInfo(zone)


@functools.cache
def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def _ticks(span: dt.timedelta) -> int:
    return span // dt.timedelta(microseconds=1)


def _moment(value: dt.datetime | dt.time) -> list[object]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo)]


def _read_datetime(content: Any) -> dt.datetime:  # noqa: ANN401  # out of a store
    text, fold, zone = content
    return dt.datetime.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))


def _read_time(content: Any) -> dt.time:  # noqa: ANN401  # out of a store
    text, fold, zone = content
    return dt.time.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))


LEAVES = (
    Leaf(20, dt.datetime, _moment, _read_datetime),
    Leaf(21, dt.date, dt.date.isoformat, dt.date.fromisoformat),
    Leaf(22, dt.time, _moment, _read_time),
    Leaf(
        23,
        dt.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda content: dt.timedelta(*content),
    ),
    Leaf(24, Decimal, str, Decimal),
    Leaf(25, UUID, lambda value: value.bytes, lambda content: UUID(bytes=content)),
    Leaf(26, PosixPath, bytes, lambda content: PosixPath(os.fsdecode(content))),
    Leaf(27, PurePosixPath, bytes, lambda content: PurePosixPath(os.fsdecode(content))),
    Leaf(28, bytearray, bytes, bytearray),
    Leaf(29, complex, lambda value: [value.real, value.imag], lambda content: complex(*content)),
)
