"""The latest invalidations of one machine: when, of what, by whom. `hotplate cache explain` reads it.

"Why did my page leave the cache?" is what operators ask of every cache, and what none of them writes down. One line of
JSON for each, appended in one write, so that any number of processes may; at a bounded size the file becomes the old
one, and the one before that is forgotten. Nothing depends on it: where it cannot be written, there is less to tell.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from hotplate.cache.key import slot_of

NAME = "invalidations"
MOST_BYTES = 256 * 1024  # of each of the two files: some thousand invalidations
_MOST_TAGS = 32  # of one invalidation that are told by name
_MOST_SLOTS = 512  # of one invalidation; beyond that it is told of, and not found for a page
_LONGEST = 300  # characters of a text

Kind = Literal["url", "tag", "all", "request"]


class Invalidation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One invalidation.

    Args:
        when: wall-clock seconds.
        kind: `url`, `tag` and `all` were asked for; `request` was an unsafe request (RFC 9111, section 4.4).
        what: URLs or tags, for people; "" for all.
        by: who asked: a process, or the request.
        slots: what was invalidated, as stores count it; see `hotplate.cache.stores.base`.
    """

    when: float
    kind: Kind
    what: str = ""
    by: str = ""
    slots: tuple[int, ...] = ()

    def reaches(self, slots: Iterable[int], since: float) -> bool:
        """Whether it made invalid what depends on `slots` and was begun at `since`, in wall-clock seconds.

        Tags share slots: in one case of some thousands it is another tag's doing.

        Example:
            >>> Invalidation(100.0, "tag", "news", slots=(7,)).reaches([3, 7], since=90.0)
            True
        """
        return self.when >= since and (self.kind == "all" or not set(self.slots).isdisjoint(slots))


def note(
    folder: Path | str,
    kind: Kind,
    names: Sequence[str] = (),
    *,
    tags: Iterable[str | int] = (),
    by: str = "",
    now: float | None = None,
) -> None:
    """Write down an invalidation, after it holds; about 20 us. Never raises.

    Args:
        folder: where the processes of this machine meet, HOTPLATE_CACHE_DIR; "" for nowhere.
        kind: what it was.
        names: URLs or tags, for people.
        tags: that were invalidated, those of URLs as well; or their slots.
        by: who asked; this process where that is empty.
        now: wall-clock seconds.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = mkdtemp()
        >>> note(folder, "tag", ["news"], tags=["news"], by="somebody", now=5.0)
        >>> [(each.kind, each.what, each.by) for each in read(folder)]
        [('tag', 'news', 'somebody')]
    """
    if not folder:
        return
    reached = tuple(sorted({tag if isinstance(tag, int) else slot_of(tag) for tag in tags}))
    entry = Invalidation(
        time.time() if now is None else now,
        kind,
        _told(names),
        (by or process())[:_LONGEST],
        reached if len(reached) <= _MOST_SLOTS else (),
    )
    # Surrogates, as a process's name may have, are not JSON.
    safe = msgspec.structs.replace(entry, what=_utf8(entry.what), by=_utf8(entry.by))
    with suppress(OSError):
        _append(Path(folder) / NAME, msgspec.json.encode(safe) + b"\n")


def read(folder: Path | str) -> list[Invalidation]:
    """Return what is written down, the latest first; what is damaged is left out."""
    found = [*_lines(Path(folder) / f"{NAME}.old"), *_lines(Path(folder) / NAME)]
    return sorted(found, key=lambda each: -each.when)


def process() -> str:
    """Return this process's number and name.

    Example:
        >>> process().split()[0]
        'pid'
    """
    return f"pid {os.getpid()} ({' '.join([Path(sys.argv[0] or 'python').name, *sys.argv[1:3]])})"


def _told(names: Sequence[str]) -> str:
    told = ", ".join(each[:_LONGEST] for each in names[:_MOST_TAGS])
    left = len(names) - _MOST_TAGS
    return f"{told[: 4 * _LONGEST]} and {left} more" if left > 0 else told[: 4 * _LONGEST]


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, line)
        if os.fstat(descriptor).st_size > MOST_BYTES:
            _turn(path, descriptor)
    finally:
        os.close(descriptor)


def _turn(path: Path, descriptor: int) -> None:
    """Make the file the old one, unless somebody else just has, or does."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            path.replace(path.with_name(f"{NAME}.old"))


def _lines(path: Path) -> Iterator[Invalidation]:
    try:
        text = path.read_bytes()
    except OSError:
        return
    for line in text.splitlines():
        with suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=Invalidation)
