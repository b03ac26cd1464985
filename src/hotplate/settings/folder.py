"""The folder as its user names it: a symbolic link that leads to another release tomorrow stays the same folder.

The kernel keeps a process in the folder that a link led to at its start, whatever the link leads to later; only the
shell's PWD still has the link (POSIX, XBD 8.3, and `pwd -L`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hotplate.errors import ExitCode, HotplateError


def current(environ: Mapping[str, str]) -> Path:
    """Return the working folder with the links in its path: PWD where that is true, else what the kernel says.

    Args:
        environ: PWD is looked up in it; whoever changes folders without a shell may leave a wrong one.

    Example:
        >>> current({}) == Path.cwd()
        True
    """
    said, actual = environ.get("PWD", ""), Path.cwd()
    path = Path(said)
    return path if path.is_absolute() and os.path.normpath(said) == said and _same(path, actual) else actual


def named(text: str, environ: Mapping[str, str]) -> Path:
    """Return a folder that was given as an argument, absolute and with the links in its path.

    Args:
        text: as it was typed; `..` leads out of a link as `cd` would, where that is the same folder.
        environ: see `current`.
    """
    path = Path(text).expanduser()
    if path.is_absolute() and ".." not in path.parts:
        return path
    logical = Path(os.path.normpath(current(environ) / path))
    return logical if _same(logical, path) else path.resolve()


@contextmanager
def entered(folder: Path) -> Iterator[None]:
    """Be in `folder`, wherever its path leads now, and then back where we were, even if that has been removed.

    Raises:
        HotplateError: APP_NOT_FOUND; the path leads nowhere any more.
    """
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.chdir(folder)
        except OSError as problem:
            raise HotplateError(
                f"import the app from {folder}",
                f"the folder cannot be entered any more ({problem.strerror})",
                "Put it back, or stop and start from where the app is now.",
                code=ExitCode.APP_NOT_FOUND,
            ) from None
        try:
            yield
        finally:
            os.fchdir(before)
    finally:
        os.close(before)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
