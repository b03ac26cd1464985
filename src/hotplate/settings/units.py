"""Durations and sizes as people write them.

Durations are seconds: `250ms`, `30s`, `5m`, `2h`, `1d`, put together as `1h30m`; a bare number is seconds.
Sizes are bytes: `KB`, `MB`, `GB`, `TB` are powers of 1000 and `KiB`, `MiB`, `GiB`, `TiB` powers of 1024 (IEC 80000-13).
A single letter (`512K`, `1G`) is a power of 1024, as in nginx, systemd and Docker; a bare number is bytes.
"""

import re
from collections.abc import Mapping

from hotplate.settings.refused import RefusedError

DURATION_HINT = "a number with ms, s, m, h or d, such as 250ms, 30s or 1h30m (a bare number is seconds)"
SIZE_HINT = "a number with B, KB, KiB, MB, MiB, GB or GiB, such as 512KiB or 64MB (a bare number is bytes)"

SECONDS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{letter: 1024**power for power, letter in enumerate("kmgt", start=1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)},
}

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_BARE = re.compile(_NUMBER, re.ASCII)
_PART = re.compile(rf"({_NUMBER})\s*(ms|s|m|h|d)\s*", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([a-z]*)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds that `text` says.

    Raises:
        RefusedError: it is no duration.

    Example:
        >>> parse_duration("1h30m"), parse_duration("250ms"), parse_duration("2.5")
        (5400.0, 0.25, 2.5)
    """
    wanted = text.strip().lower()
    if _BARE.fullmatch(wanted):
        return float(wanted)
    seconds, position, units = 0.0, 0, []
    while found := _PART.match(wanted, position):
        seconds += float(found[1]) * SECONDS[found[2]]
        units.append(SECONDS[found[2]])
        position = found.end()
    # Largest unit first, each once: "5m2h" or "5s5s" is more likely a slip of the hand than a wish.
    if not units or position != len(wanted) or units != sorted(set(units), reverse=True):
        raise RefusedError("it is not a duration", DURATION_HINT)
    return round(seconds, 6)


def parse_size(text: str) -> int:
    """Return the bytes that `text` says; a fraction is rounded down to whole bytes.

    Raises:
        RefusedError: it is no size.

    Example:
        >>> parse_size("512KiB"), parse_size("64MB"), parse_size("1G")
        (524288, 64000000, 1073741824)
    """
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None or found[2] not in BYTES:
        raise RefusedError("it is not a size", SIZE_HINT)
    whole, _, fraction = found[1].partition(".")
    return int(whole + fraction) * BYTES[found[2]] // int(10 ** len(fraction))


def show_duration(seconds: float) -> str:
    """Write seconds the way `parse_duration` reads them.

    Example:
        >>> show_duration(5400), show_duration(0.25), show_duration(0)
        ('1h30m', '250ms', '0s')
    """
    thousandths = round(seconds * 1000)
    parts = []
    for unit, scale in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, thousandths = divmod(thousandths, scale)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def show_duration_roughly(seconds: float) -> str:
    """Write seconds for people, to three figures at most.

    Example:
        >>> [show_duration_roughly(seconds) for seconds in (0.00125, 0.25, 3.04, 200, 86400 * 3)]
        ['1.25 ms', '250 ms', '3.04 s', '3.33 min', '3 d']
    """
    for scale, unit, limit in ((0.001, "ms", 1), (1, "s", 100), (60, "min", 5400), (3600, "h", 48 * 3600)):
        if seconds < limit:
            return f"{float(f'{seconds / scale:.3g}'):g} {unit}"
    return f"{seconds / 86400:.3g} d"


def show_age(seconds: float) -> str:
    """Write seconds for people, to three figures; none are seconds, too.

    Example:
        >>> show_age(0), show_age(0.9996)
        ('0 s', '1 s')
    """
    return show_duration_roughly(float(f"{seconds:.3g}")) if seconds else "0 s"


def show_size(count: int) -> str:
    """Write bytes exactly, in the unit that takes the fewest digits.

    Example:
        >>> show_size(64 * 1024**2), show_size(64_000_000), show_size(8190)
        ('64MiB', '64MB', '8190B')
    """
    units = [(1024**power, f"{letter}iB") for power, letter in enumerate("KMGT", start=1)]
    units += [(1000**power, f"{letter}B") for power, letter in enumerate("KMGT", start=1)]
    exact = [f"{count // scale}{unit}" for scale, unit in units if count and count % scale == 0]
    return min([*exact, f"{count}B"], key=len)


def show_size_roughly(count: int) -> str:
    """Write bytes for people, to three figures.

    Example:
        >>> show_size_roughly(405_798_912), show_size_roughly(900)
        ('387 MiB', '900 B')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1000 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"
