"""The beat's lock beside the embedded file: a byte the kernel locks for a process and unlocks at its death."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from celery.app.base import Celery
from kombu.exceptions import OperationalError

from hotplate.tasks.beat.connecting import Producer, connected, producer
from hotplate.tasks.beat.lock import LockLostError, Run, decoded, encoded
from hotplate.tasks.embedded import file


class FileLock:
    """The beats of one machine.

    Args:
        app: whose schedule it is; several apps on one file have a lock each.
        path: the embedded file. The lock is `<path>-beat`, the last runs are in it.
    """

    def __init__(self, app: Celery, path: Path) -> None:
        main = app.main or "celery"
        self._store = file.open(path)
        self._path = path.with_name(path.name + "-beat")
        self._byte = int.from_bytes(blake2b(main.encode(), digest_size=7).digest()) >> 1
        self._key = f"beat:{main}"
        self._connection = app.connection_for_write()
        self._descriptor = -1

    def take(self) -> bool:
        """See `Lock`."""
        if self._descriptor < 0:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A record lock is the process's own: what it forks does not hold it after its death (fcntl(2)).
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte)
        except (BlockingIOError, PermissionError):
            return False
        if not self.keep():
            self.give_up()  # somebody removed the file that is locked: the next try takes the one that others see
            return False
        return True

    def keep(self) -> bool:
        """See `Lock`."""
        if self._descriptor < 0:
            return False
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        return False

    def give_up(self) -> None:
        """See `Lock`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._connection.release()

    def producer(self) -> Producer:
        """See `Lock`."""
        return producer(connected(self._connection).default_channel)

    def runs(self) -> dict[str, Run]:
        """See `Lock`."""
        return decoded(self._store.get_meta(self._key))

    def save(self, runs: Mapping[str, Run]) -> None:
        """See `Lock`."""
        self._store.set_meta(self._key, encoded(runs))

    @contextmanager
    def sending(self, name: str, run: Run) -> Iterator[None]:
        """See `Lock`."""
        if not self.keep():
            raise LockLostError
        try:
            yield
        except OperationalError:
            self._connection.release()  # the next try makes a new one
            raise
        self.save({**self.runs(), name: run})
