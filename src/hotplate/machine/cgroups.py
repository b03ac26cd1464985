"""Where the kernel keeps the limits of this process: its control groups and all their ancestors.

A limit may be set at any level, and `/proc/self/cgroup` may show paths that the mounts do not have: inside a container
the mount's root is the container's own group. Both versions may be there at once (hybrid). Sources: cgroups(7),
proc_pid_mountinfo(5), the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Group(NamedTuple):
    """One level of one hierarchy: its folder, and whether it is of version 2."""

    folder: Path
    is_v2: bool


class _Mount(NamedTuple):
    root: str
    point: str
    is_v2: bool
    controllers: frozenset[str]


def groups(controller: str, root: Path = Path("/")) -> Iterator[Group]:
    """Yield the folders that may hold limits of `controller` for this process, its own first, then every ancestor.

    Args:
        controller: "cpu" or "memory".
        root: folder that stands for `/`, so that tests can use trees of their own.
    """
    paths = _own_paths(_read(root / "proc/self/cgroup"))
    for mount in _mounts(_read(root / "proc/self/mountinfo")):
        own = paths.get("" if mount.is_v2 else controller)
        if own is None or not (mount.is_v2 or controller in mount.controllers):
            continue
        top = root / mount.point.lstrip("/")
        for level in _levels(_below(own, mount.root)):
            folder = top / level
            if folder.is_dir():
                yield Group(folder, mount.is_v2)


def number(path: Path) -> int | None:
    """Return the whole number in a file; None when there is no file, or it says something else, such as "max"."""
    text = _read(path).strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII) else None


def words(path: Path) -> list[str]:
    """Return the words in a file, none when it cannot be read."""
    return _read(path).split()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _own_paths(text: str) -> dict[str, str]:
    """Return this process's path for each controller of version 1, and for version 2 under ""."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if dash and len(fields) > 4 and len(kind) > 2 and kind[0] in {"cgroup", "cgroup2"}:
            root, point = (_ESCAPED.sub(lambda found: chr(int(found[1], 8)), field) for field in fields[3:5])
            yield _Mount(root, point, kind[0] == "cgroup2", frozenset(kind[2].split(",")))


def _below(own: str, mount_root: str) -> PurePosixPath:
    """Return a group's path below a mount that shows only what is under `mount_root`."""
    path = PurePosixPath("/" + own.lstrip("/"))
    if ".." in path.parts:  # outside the cgroup namespace: the mount's top is all that can be seen
        return PurePosixPath()
    try:
        return path.relative_to(mount_root)
    except ValueError:
        return path.relative_to("/")


def _levels(path: PurePosixPath) -> list[PurePosixPath]:
    return [path, *path.parents] if path.parts else [path]
