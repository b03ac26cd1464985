"""Opening the file: made if it is not there, refused if it is not ours, and set up as the broker needs it."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from hotplate.tasks.embedded import problems, schema

PATIENCE = 5.0
"""Seconds to wait for another process's transaction, which takes microseconds: more means that it is stopped."""

_SETTINGS = (
    # Survives any death of any process; only a power cut may take the last commits along, as with Redis's default.
    "PRAGMA synchronous = NORMAL",
    # Checkpoints cost a flush to the disk; every 4 MB of log is SQLite's default.
    "PRAGMA wal_autocheckpoint = 1000",
    # After a burst the log does not stay big for ever.
    f"PRAGMA journal_size_limit = {16 * 2**20}",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
    # Waiting is ours (`retrying`): SQLite's own sleeps for whole milliseconds where transactions take microseconds.
    "PRAGMA busy_timeout = 0",
)


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Return a connection to the file at `path`, which exists and has its tables afterwards.

    Raises:
        BrokerFileError: it cannot be opened, is damaged, or belongs to somebody else.
    """
    _make(path)
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        if _version(connection, path) < schema.VERSION:
            _furnish(connection)
        for setting in _SETTINGS:
            connection.execute(setting)
        if durable:
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException as problem:
        if connection is not None:
            connection.close()
        if isinstance(problem, sqlite3.Error) and (ours := problems.named(problem, path)) is not None:
            raise ours from problem
        raise
    return connection


def deadline() -> float:
    """Return until when it is worth waiting for other processes, on the monotonic clock."""
    return time.monotonic() + PATIENCE


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never opened if it is there: closing it would drop SQLite's locks of this process (see `owners`).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as problem:
        raise problems.no_access(path, problem.strerror or str(problem)) from problem


def _version(connection: sqlite3.Connection, path: Path) -> int:
    ours = _is_ours(connection)
    if not ours and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        # Another process may have furnished it since we looked: with its tables it became ours.
        ours = _is_ours(connection)
        if not ours:
            raise problems.foreign(path, "it is another program's SQLite file")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > schema.VERSION:
        raise problems.foreign(path, f"a later Hotplate has written it (layout {version}, known is {schema.VERSION})")
    return version if ours else 0


def _is_ours(connection: sqlite3.Connection) -> bool:
    return int(connection.execute("PRAGMA application_id").fetchone()[0]) == schema.APPLICATION_ID


def _furnish(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything else is written, or it has no effect
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    for table in schema.TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")
