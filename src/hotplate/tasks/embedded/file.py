"""One file, as broker, results, beat and the operator's commands use it: transactions, and who is told of them.

Every process has one connection to it, opened when it is first needed and used by one thread at a time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hotplate.tasks.embedded import forking, messages, opening, problems
from hotplate.tasks.embedded.messages import Count, Peeked
from hotplate.tasks.embedded.owners import Owners, owners_of
from hotplate.tasks.embedded.transactions import Reading, Writing
from hotplate.tasks.embedded.waiting import Waiting
from hotplate.tasks.embedded.wake import Folder

_FORK_PATIENCE = 2.0  # seconds a fork waits for other threads' transactions
Pending = tuple[list[int], list[int], list[int]]
"""Numbers of this process's messages that are acknowledged, returned, or returned unseen, and not yet in the file."""

_NUMBERS_TRIED = 1000
_KEPT: list[object] = []  # connections inherited from a parent: neither used nor closed (see `forking`)


class Store:
    """One broker file in this process; get it by `open`.

    Example:
        >>> with store.write() as writing:
        ...     writing.execute("INSERT INTO results ...")
        ...     writing.notify("result:1234")
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self.durable = durable
        self.folder = Folder(path)
        self.generation = 0
        """How many different files have been at this path: whoever wrote itself into the last one does so again."""
        self._leftovers: Pending = ([], [], [])
        self._name = str(path)
        self._folder = str(path.parent)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._token = ""
        self._pid = os.getpid()
        self._owner = 0
        self._locks: Owners | None = None
        self._required: list[str] = []
        forking.watch(self)

    # ------------------------------------------------------------ transactions

    @contextmanager
    def write(self, *, keep_free: int = 0) -> Iterator[Writing]:
        """Give a transaction that is committed at the end, rolled back if the block raises; others then hear of it.

        Args:
            keep_free: bytes that must stay free, on the disk or in the file, so that those who make room can write.

        Raises:
            BrokerFileError: no room, no access, damaged, or kept by another process for seconds. Nothing is written.
        """
        with self._lock:
            writing = Writing(self._opened(), self._name)
            owners = self._owners()
            self._depth += 1
            try:
                self._take_turn(owners)
                with self._translated():
                    writing.begin()
                    if keep_free:
                        self._check_room(writing, keep_free)
                    yield writing
                    listeners = writing.commit()
            except BaseException as problem:
                writing.abandon(make_room=isinstance(problem, problems.DiskFullError))
                raise
            finally:
                self._depth -= 1
                owners.end_turn()
        if listeners:
            self.folder.send(listeners)

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """Give a consistent view of the file; whoever writes is not held up by it.

        Raises:
            BrokerFileError: as for `write`.
        """
        with self._lock:
            reading = Reading(self._opened(), self._name)
            self._depth += 1
            try:
                with self._translated():
                    reading.begin()
                    yield reading
            finally:
                reading.abandon()
                self._depth -= 1

    def require(self, statements: Sequence[str]) -> None:
        """Have tables of one's own: `CREATE TABLE IF NOT EXISTS`, run now and whenever the file is made anew.

        Raises:
            BrokerFileError: as for `write`.
        """
        with self.write() as writing:
            for statement in statements:
                writing.execute(statement)
            self._required.extend(statement for statement in statements if statement not in self._required)

    # ------------------------------------------------------------ what others ask of it

    def counts(self) -> dict[str, Count]:
        """Return how many messages every queue has in which state, and how old the oldest ready one is."""
        with self.read() as reading:
            return messages.counts(reading, time.time())

    def peek(self, queue: str, limit: int = 100) -> list[Peeked]:
        """Return a queue's messages, in the order in which they would be taken, without taking them."""
        with self.read() as reading:
            return messages.peek(reading, queue, limit)

    def get_meta(self, key: str) -> str | None:
        """Return what was last noted under a key."""
        with self.read() as reading:
            row = reading.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Note something in the file."""
        with self.write() as writing:
            writing.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def notify(self, topics: Iterable[str]) -> None:
        """Wake whoever waits for one of the topics. In a transaction, `writing.notify` does so once it is committed."""
        with self.read() as reading:
            listeners = reading.listeners(topics)
        self.folder.send(listeners)

    def waiting(self, *topics: str) -> Waiting:
        """Return something that wakes when one of the topics is notified; it vanishes with this process.

        Example:
            >>> with store.waiting("result:1234") as waiting:
            ...     while (found := look()) is None:
            ...         waiting.wait(1.0)  # a byte may get lost: look once a second anyway
        """
        return Waiting(self, topics)

    def claim(self, application: str, *, shared: bool = False) -> None:
        """Note whose file this is.

        Args:
            application: the name of the Celery app.
            shared: it may be another one's as well.

        Raises:
            ForeignFileError: it is another application's.
        """
        owner = self.get_meta("application")
        if owner is None:
            with self.write() as writing:
                writing.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('application', ?)", (application,))
            owner = self.get_meta("application")
        if owner != application and not shared:
            raise problems.another_application(self.path, str(owner), application)

    # ------------------------------------------------------------ owners

    def owner(self, writing: Writing) -> int:
        """Return this process's number in the file, locked for as long as it lives."""
        if not self._owner:
            owners = self._owners()
            for _ in range(_NUMBERS_TRIED):
                owner = int(writing.execute("INSERT INTO owners (pid) VALUES (?)", (os.getpid(),)).lastrowid or 0)
                with suppress(OSError):  # a process of a file that was here before may have this one
                    owners.hold(owner)  # before others can see it in the file, so that they never find it dead
                    writing.on_rollback(self._disown)
                    self._owner = owner
                    return owner
            raise problems.no_access(self.path, "no lock is to be had on its file system")
        return self._owner

    def _disown(self) -> None:
        self._owners().let_go(self._owner)
        self._owner = 0

    def _owners(self) -> Owners:
        if self._locks is None:
            try:
                self._locks = owners_of(self.path)
            except OSError as problem:
                raise problems.no_access(self.path, problem.strerror or str(problem)) from problem
        return self._locks

    def leave(self, pending: Pending) -> None:
        """Keep what a connection could not settle before it was closed, until another one `adopt`s it."""
        with self._lock:
            for kept, ids in zip(self._leftovers, pending, strict=True):
                kept.extend(ids)

    def adopt(self) -> Pending:
        """Return what others left, which is the caller's to settle from now on."""
        if not any(self._leftovers):
            return [], [], []
        with self._lock:
            leftovers, self._leftovers = self._leftovers, ([], [], [])
        return leftovers

    def is_alive(self, owner: int) -> bool:
        """Return whether a process with this number lives."""
        return self._owners().is_alive(owner)

    # ------------------------------------------------------------ the connection

    def close(self) -> None:
        """Close the connection; it opens again when it is next needed."""
        with self._lock:
            if self._connection is not None and not self._depth:
                self._connection.close()
                self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            with suppress(OSError):
                info = os.stat(self._name)  # noqa: PTH116  # asked at every transaction; a Path costs twice as much
                if (info.st_dev, info.st_ino) == self._identity:
                    return self._connection
            if self._depth:
                return self._connection
        return self._open()

    def _open(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self.after_fork_in_child()
        self.close()
        connection = opening.connect(self.path, durable=self.durable)
        try:
            info = self.path.stat()
            with self._translated():
                for statement in self._required:
                    connection.execute(statement)
                token = str(connection.execute("SELECT value FROM meta WHERE key = 'file'").fetchone()[0])
        except BaseException:
            connection.close()
            raise
        self._identity = (info.st_dev, info.st_ino)
        if token != self._token:
            self._token = token
            self._owner = 0
            self._locks = None
            self._leftovers = ([], [], [])
            self.generation += 1
        self._connection = connection
        return connection

    def _take_turn(self, owners: Owners) -> None:
        if not owners.take_turn(opening.deadline()):
            raise problems.busy(self.path)

    def _check_room(self, writing: Writing, keep_free: int) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < keep_free and free + writing.room() < keep_free:
            raise problems.full(self.path, f"less than {keep_free // 2**20} MB are left")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            ours = problems.named(problem, self.path)
            if ours is None:
                raise
            raise ours from problem

    # ------------------------------------------------------------ forks

    def before_fork(self) -> None:
        """Close the connection unless it is in use, and let nobody open it until the fork is over."""
        if self._lock.acquire(timeout=_FORK_PATIENCE):
            self.close()

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        with suppress(RuntimeError):  # it was not to be had in time
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Have nothing of the parent's."""
        if self._connection is not None:
            _KEPT.append(self._connection)
        self._connection = None
        self._lock = threading.RLock()
        self._depth = 0
        self._owner = 0
        self._locks = None
        self._leftovers = ([], [], [])
        self._pid = os.getpid()


_STORES: dict[tuple[str, bool], Store] = {}
_GUARD = threading.Lock()


def open(path: Path, *, durable: bool = False) -> Store:  # noqa: A001  # read as file.open(...)
    """Return this process's store of the file at `path`; the file is made when it is first used.

    Args:
        path: where it lies.
        durable: every commit waits for the disk.
    """
    real = os.path.realpath(path)
    with _GUARD:
        return _STORES.setdefault((real, durable), Store(Path(real), durable=durable))


def _new_guard() -> None:
    global _GUARD  # noqa: PLW0603  # another thread may have held it when the process forked
    _GUARD = threading.Lock()


os.register_at_fork(after_in_child=_new_guard)

__all__ = ["Count", "Peeked", "Reading", "Store", "Writing", "open"]
