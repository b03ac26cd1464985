"""A fingerprint of the app's own code: equal where the code is equal, on whatever machine, and another after a deploy.

It becomes part of every key of the cache, so that a page made by other code is never found. What is hashed: code,
templates, scripts and style sheets in the app's folder (and in its package, where that is installed elsewhere), with
their paths in it, and the names and versions of what is installed beside. What is written while the app runs is not.
"""

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from hotplate.apps.target import Spot

# What is larger is not read to the end: a megabyte hashes in about 1 ms, a thousand files are opened in about 15 ms.
MOST_ENTRIES = 20_000  # names in folders
MOST_FILES = 4_000  # that are read
MOST_BYTES = 32 * 1024**2
MOST_SECONDS = 1.0  # on a disk that is cold, slow or on a network
_SUFFIXES = (
    ".py", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".pt", ".tmpl", ".tpl", ".djhtml", ".mjml", ".mo",
    ".css", ".js", ".mjs", ".sql", ".graphql", ".toml", ".yaml", ".yml",
)  # fmt: skip
_TEMPLATES = "templates"  # in a folder of this name, files of any other suffix count as well
# Made by tools or users while the app runs, or installed; a package of such a name is code.
_PASSED_OVER = frozenset({
    "__pycache__", "node_modules", "site-packages", "dist-packages", "media", "uploads", "instance", "venv", "env",
})  # fmt: skip


class Release(NamedTuple):
    """Which version of the code this is.

    Args:
        text: its name, as it stands in keys.
        why: where that comes from, in words.
        is_shared: whether another process with the same code has the same.
    """

    text: str
    why: str
    is_shared: bool = True


class Fingerprint(NamedTuple):
    """What was found of the app's code.

    Args:
        digest: hexadecimal; "" where it was too much to be read.
        files: how many were read.
        excess: what was too much; "" for nothing.
    """

    digest: str
    files: int
    excess: str = ""


def take(spot: Spot, path: Sequence[str] | None = None, what: str = "") -> Fingerprint:
    """Return the fingerprint of the app at `spot`, as its files are now; nothing is imported.

    Args:
        spot: the app's folder and module.
        path: where modules are looked for after that folder; `sys.path` where None.
        what: what of it is served, such as "shop:create_app('staging')": equal code can make unequal apps.

    Example:
        >>> take(Spot(Path("/nonexistent"), "shop"), []).files
        0
    """
    path = sys.path if path is None else path
    budget = _Budget()
    digest = hashlib.blake2b(what.encode(errors="surrogateescape"), digest_size=16)
    try:
        for root in _roots(spot, path):
            for name, file in sorted(budget.found(root)):
                content = budget.read(file)
                for part in (os.fsencode(name), content):
                    digest.update(len(part).to_bytes(8, "big") + part)
        for name in sorted(_installed(path)):
            digest.update(b"\0" + os.fsencode(name))
    except _TooMuchError as problem:
        return Fingerprint("", budget.files, str(problem))
    return Fingerprint(digest.hexdigest(), budget.files)


def release(before: Fingerprint, after: Fingerprint, asked: str = "") -> Release:
    """Return the release that an app is, whose files were looked at before and after it was imported.

    Args:
        before: as it was when the import began.
        after: as it was when that had ended.
        asked: what the user calls it; "" for nothing.

    Example:
        >>> seen = Fingerprint("5f1e" * 8, 3)
        >>> release(seen, seen).text, release(seen, seen, asked="v7").why
        ('5f1e5f1e5f1e5f1e', 'asked for')
    """
    if asked:
        return Release(asked, "asked for")
    own = f"start-{secrets.token_hex(8)}"
    if before.excess or after.excess:
        return Release(
            own, f"of this start alone: {after.excess or before.excess}; --release names it", is_shared=False
        )
    if before.digest != after.digest:
        return Release(own, "of this start alone: its files changed while it was imported", is_shared=False)
    return Release(after.digest[:16], f"fingerprint of {after.files} file{'' if after.files == 1 else 's'}")


class _TooMuchError(Exception):
    """There is more than is worth reading at every start."""


class _Budget:
    """What may still be read."""

    def __init__(self) -> None:
        self.files = 0
        self._entries = self._bytes = 0
        self._end = time.monotonic() + MOST_SECONDS

    def found(self, root: Path) -> Iterator[tuple[str, str]]:
        """Yield the files that count below `root`: the name within it, and the path."""
        if root.is_file():
            yield root.name, str(root)
        waiting = [(str(root), "")] if root.is_dir() else []
        been: set[tuple[int, int]] = set()
        while waiting:
            folder, name = waiting.pop()
            for entry in self._entries_of(folder, been):
                inner = f"{name}{entry.name}"
                if _is_folder(entry):
                    if not _is_passed_over(entry):
                        waiting.append((entry.path, f"{inner}/"))
                elif entry.name.endswith(_SUFFIXES) or _TEMPLATES in name.split("/"):
                    yield inner, entry.path

    def read(self, path: str) -> bytes:
        """Return a file's content; what cannot be read counts as empty."""
        self.files += 1
        if self.files > MOST_FILES:
            raise _TooMuchError(f"its code has more than {MOST_FILES:,} files")
        content = b""
        # Never wait for a FIFO that somebody named *.html.
        with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123  a descriptor
            content = file.read(MOST_BYTES - self._bytes + 1)
        self._bytes += len(content)
        if self._bytes > MOST_BYTES:
            raise _TooMuchError(f"its code has more than {MOST_BYTES // 1024**2} MiB")
        self._look_at_the_clock()
        return content

    def _entries_of(self, folder: str, been: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        with suppress(OSError), os.scandir(folder) as entries:
            info = Path(folder).stat()
            if (place := (info.st_dev, info.st_ino)) in been:  # a link leads in circles
                return []
            been.add(place)
            for entry in entries:
                self._entries += 1
                if self._entries > MOST_ENTRIES:
                    raise _TooMuchError(f"its folder has more than {MOST_ENTRIES:,} files")
                if not entry.name.startswith("."):
                    found.append(entry)
        self._look_at_the_clock()
        return sorted(found, key=lambda entry: entry.name)

    def _look_at_the_clock(self) -> None:
        if time.monotonic() > self._end:
            raise _TooMuchError(f"reading its code takes more than {MOST_SECONDS:g} s")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir()
    return False


def _is_passed_over(entry: os.DirEntry[str]) -> bool:
    if Path(entry.path, "pyvenv.cfg").exists():
        return True
    return entry.name in _PASSED_OVER and not Path(entry.path, "__init__.py").exists()


def _roots(spot: Spot, path: Sequence[str]) -> list[Path]:
    """Return the app's folder, and its package or module where that lies elsewhere."""
    roots = [spot.folder]
    spec = None
    with suppress(Exception):  # finders are anybody's code; the import will say what is wrong
        spec = PathFinder.find_spec(spot.module.partition(".")[0], [str(spot.folder), *path])
    if spec is not None:
        places: Iterable[str] = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
        roots += [each for place in places if not (each := Path(place)).is_relative_to(spot.folder)]
    return roots


def _installed(path: Sequence[str]) -> set[str]:
    """Return names and versions of what is installed, by the names of its .dist-info folders: no file is read."""
    names: set[str] = set()
    for place in path:
        with suppress(OSError):
            names.update(name for name in os.listdir(place or ".") if name.endswith((".dist-info", ".egg-info")))  # noqa: PTH208  names are all that is wanted, thousands of them
    return names
