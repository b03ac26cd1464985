"""What can be wrong with the file, in words that reach whoever sent a task.

Each is a `HotplateError` (one line, an exit code) and an `OperationalError` of kombu, as `delay()` is known to raise.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kombu.exceptions import OperationalError

from hotplate.errors import ExitCode, HotplateError


class BrokerFileError(HotplateError, OperationalError):
    """The broker's file cannot do what was asked of it."""


class FileUnusableError(BrokerFileError):
    """It cannot be opened: missing rights, or damaged. Worth another try later, as a broker that is down."""


class ForeignFileError(BrokerFileError):
    """It is somebody else's: no later try will find it otherwise."""


class DiskFullError(BrokerFileError):
    """There is no room on its disk."""


class FileBusyError(BrokerFileError):
    """Another process has held it for longer than anybody should."""


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_ACCESS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


def primary(problem: sqlite3.Error) -> int:
    """Return SQLite's result code without its extension (https://sqlite.org/rescode.html); 0 where it has none."""
    return int(getattr(problem, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(problem: sqlite3.Error) -> bool:
    """Return whether trying again may help at once."""
    return primary(problem) in _BUSY


def named(problem: sqlite3.Error, path: Path) -> BrokerFileError | None:
    """Return SQLite's complaint about the file in our words; None for what is a bug of the caller.

    Example:
        >>> named(sqlite3.OperationalError("no such table: orders"), Path("/tmp/x.sqlite"))
    """
    code = primary(problem)
    if code in _DAMAGED:
        return damaged(path, str(problem))
    if code in _NO_ROOM:
        return full(path, str(problem))
    if code in _BUSY:
        return busy(path)
    if code in _NO_ACCESS:
        return no_access(path, str(problem))
    return None


def damaged(path: Path, cause: str) -> FileUnusableError:
    """Return the error for a file whose content is not what SQLite wrote; nothing deletes it."""
    move = f"mv {path} {path}.damaged"
    return FileUnusableError(
        f"use the broker's file {path}",
        f"it is damaged ({cause})",
        f"Stop the workers and move it away ({move}; its -wal and -shm files with it): a new one is made, and "
        f"`sqlite3 {path}.damaged .recover` shows what can be read of the old one.",
        code=ExitCode.FAILED,
    )


def full(path: Path, cause: str) -> DiskFullError:
    """Return the error for a disk without room."""
    return DiskFullError(
        f"write to the broker's file {path}",
        f"its disk has no room ({cause})",
        f"Make room (df {path.parent}); what was accepted before is still there, and workers go on by themselves.",
        code=ExitCode.FAILED,
    )


def busy(path: Path) -> FileBusyError:
    """Return the error for a file that another process does not let go."""
    return FileBusyError(
        f"write to the broker's file {path}",
        "another process has kept it locked for seconds",
        f"Look which one (lsof {path}); a stopped process (state T) must go on or be killed.",
        code=ExitCode.FAILED,
    )


def no_access(path: Path, cause: str) -> FileUnusableError:
    """Return the error for a file that this user may not open."""
    return FileUnusableError(
        f"use the broker's file {path}",
        cause,
        f"Give this user the folder (ls -ld {path.parent}), or choose another one: HOTPLATE_TASKS_DIR=/path.",
        code=ExitCode.FAILED,
    )


def foreign(path: Path, what: str) -> ForeignFileError:
    """Return the error for a file that belongs to another program, or to a later Hotplate."""
    return ForeignFileError(
        f"use the broker's file {path}",
        what,
        "Name another file: CELERY_BROKER_URL=hotplate:////path/tasks.sqlite, or HOTPLATE_TASKS_DIR=/path.",
        code=ExitCode.FAILED,
    )


def another_application(path: Path, theirs: str, ours: str) -> ForeignFileError:
    """Return the error for two applications that would take each other's messages."""
    return ForeignFileError(
        f"use the broker's file {path} for {ours}",
        f"it is {theirs}'s, and each would take tasks that only the other knows",
        f"Give {ours} a file of its own (HOTPLATE_TASKS_DIR=/path), or add ?shared=yes to both brokers' URLs if their "
        "queues differ.",
        code=ExitCode.USAGE,
    )


def replaced(path: Path) -> FileUnusableError:
    """Return the error for a file that was taken away while it was in use: what was in it is not ours to bring back."""
    return FileUnusableError(
        f"go on with the broker's file {path}",
        "it was moved away or deleted, and there is a new one now",
        "Nothing to do: workers connect again by themselves.",
        code=ExitCode.FAILED,
    )
