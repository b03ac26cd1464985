"""Dates of HTTP (RFC 9110, section 5.6.7): read in the three forms there are, and no others; written in one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_OF = {name.lower().encode(): number for number, name in enumerate(_MONTHS, start=1)}

_DAY = rb"(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY = rb"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = rb"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# Letters in any case: those who send them in another do so in all of them, and no other meaning is possible.
_FORMS = (
    re.compile(rb"%s, (?P<day>[0-9]{2}) %s (?P<year>[0-9]{4}) %s gmt" % (_DAY, _MONTH, _TIME)),
    re.compile(rb"%s, (?P<day>[0-9]{2})-%s-(?P<short>[0-9]{2}) %s gmt" % (_LONG_DAY, _MONTH, _TIME)),
    re.compile(rb"%s %s (?P<day>[0-9]{2}| [0-9]) %s (?P<year>[0-9]{4})" % (_DAY, _MONTH, _TIME)),
)
_LONGEST = 40


def read(value: bytes, now: float) -> float | None:
    """Return a date as wall-clock seconds, None for what is none.

    Args:
        value: of a field such as Expires.
        now: wall-clock seconds, to tell the century of two digits: more than 50 years ahead is in the past.

    Example:
        >>> read(b"Sun, 06 Nov 1994 08:49:37 GMT", 0), read(b"Sunday, 06-Nov-94 08:49:37 GMT", 784111777)
        (784111777.0, 784111777.0)
        >>> read(b"0", 0), read(b"Sun, 06 Nov 1994 08:49:37 UTC", 0)
        (None, None)
    """
    if len(value) > _LONGEST:
        return None
    try:
        this_year = gmtime(now).tm_year
    except (OverflowError, ValueError, OSError):
        this_year = 1970
    return _read(value.strip(b" \t").lower(), this_year)


@lru_cache(maxsize=256)
def _read(value: bytes, this_year: int) -> float | None:
    found = next(filter(None, (form.fullmatch(value) for form in _FORMS)), None)
    if found is None:
        return None
    part = found.groupdict()
    year = int(part["year"]) if "year" in part else _full_year(int(part["short"]), this_year)
    second = int(part["second"])
    try:
        day = datetime(
            year, _MONTH_OF[part["month"]], int(part["day"]), int(part["hour"]), int(part["minute"]), tzinfo=UTC
        )
    except ValueError:
        return None
    return day.timestamp() + second if second <= 60 else None  # 60: a leap second


def _full_year(short: int, this_year: int) -> int:
    year = this_year - this_year % 100 + short
    return year - 100 if year > this_year + 50 else year


def write(seconds: float) -> bytes:
    """Return wall-clock seconds as an IMF-fixdate.

    Example:
        >>> write(784111777)
        b'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    at = gmtime(seconds)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year:04} {clock} GMT".encode()
