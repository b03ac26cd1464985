"""What workers have measured and cannot be a counter: what could be cached, route by route, and why things are not.

Each process writes a small file of its own into the folder that all share, whole or not at all, every now and then; who
reads adds them up. Files of processes that are gone count on; beyond a number of them the oldest are removed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from hotplate.cache.stores.folder import write_new
from hotplate.settings.records import helped

MOST_ROUTES = 200  # of one process
_MOST_FILES = 64
_MOST_BYTES = 1024 * 1024  # of a file that is read


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What could be answered from the cache of one route."""

    route: Annotated[str, helped("path, with * for what differs")]
    requests: Annotated[int, helped("requests that were measured")] = 0
    hits: Annotated[int, helped("of them, how many could have been answered from the cache")] = 0
    mismatches: Annotated[int, helped("of these, how many the app answered differently than the cache would have")] = 0
    seconds_saved: Annotated[float, helped("time the app would not have worked")] = 0.0
    rule: Annotated[str, helped("line for cache_routes that would have it so; empty where that is not safe")] = ""
    why: Annotated[str, helped("why it is not answered from the cache")] = ""


class Measured(msgspec.Struct, frozen=True):
    """What one process, or all together, have measured.

    Args:
        routes: what could be cached; the most worthwhile first, once added up.
        reasons: by code (`hotplate.cache.http.reasons`), how many responses were not kept for it.
    """

    routes: tuple[Suggestion, ...] = ()
    reasons: dict[str, int] = {}


def write(folder: Path | str, routes: Iterable[Suggestion], reasons: Mapping[str, int]) -> None:
    """Write what this process has measured since it began; never raises.

    Args:
        folder: where the processes of this machine meet; "" for nowhere.
        routes: the most worthwhile are kept.
        reasons: see `Measured`.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = mkdtemp()
        >>> write(folder, [Suggestion(route="/a/*", requests=4, hits=3)], {"private": 2})
        >>> read(folder).routes[0].hits, read(folder).reasons
        (3, {'private': 2})
    """
    if not folder:
        return
    best = tuple(sorted(routes, key=_worth)[:MOST_ROUTES])
    path = Path(folder) / f"measured-{os.getpid()}.json"
    with suppress(OSError):
        write_new(path, msgspec.json.encode(Measured(best, dict(reasons))))
        for old in _files(path.parent)[_MOST_FILES:]:
            old.unlink(missing_ok=True)


def read(folder: Path | str) -> Measured:
    """Return what all processes have measured, added up; files that cannot be read are left out."""
    routes: dict[str, list[Suggestion]] = {}
    reasons: Counter[str] = Counter()
    for path in _files(Path(folder))[:_MOST_FILES]:
        with suppress(OSError, msgspec.MsgspecError):
            with path.open("rb") as file:
                found = msgspec.json.decode(file.read(_MOST_BYTES), type=Measured)
            for each in found.routes:
                routes.setdefault(each.route, []).append(each)
            reasons.update(found.reasons)
    return Measured(tuple(sorted(map(_added, routes.values()), key=_worth)), dict(reasons.most_common()))


def _added(each: list[Suggestion]) -> Suggestion:
    """Return the figures of one route from several processes added up; the words are those of the latest."""
    return msgspec.structs.replace(
        each[0],
        requests=sum(one.requests for one in each),
        hits=sum(one.hits for one in each),
        mismatches=sum(one.mismatches for one in each),
        seconds_saved=sum(one.seconds_saved for one in each),
        # What is unsafe for one is unsafe.
        rule="" if any(one.mismatches for one in each) else each[0].rule,
        why=next((one.why for one in each if one.why), ""),
    )


def _worth(each: Suggestion) -> tuple[float, int, str]:
    return -each.seconds_saved, -each.requests, each.route


def _files(folder: Path) -> list[Path]:
    """Return the files of all processes, the latest first."""
    dated: list[tuple[float, Path]] = []
    for path in folder.glob("measured-*.json"):
        with suppress(OSError):
            dated.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(dated, reverse=True)]
