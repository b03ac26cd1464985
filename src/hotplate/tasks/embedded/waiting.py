"""Waiting for a topic of the file: a socket, written into the file for others to find."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from hotplate.tasks.embedded import problems, wake

if TYPE_CHECKING:
    from hotplate.tasks.embedded.file import Store


class Waiting:
    """Somebody of this process who waits; made by `Store.waiting`.

    Raises:
        BrokerFileError: the file cannot be written to.
    """

    def __init__(self, store: Store, topics: Iterable[str] = ()) -> None:
        self._store = store
        self._pid = os.getpid()
        self._topics: set[str] = set()
        try:
            self._socket, self.name = store.folder.bind()
        except OSError as problem:
            raise problems.no_access(store.path, problem.strerror or str(problem)) from problem
        try:
            self.listen(*topics)
        except BaseException:
            self.close()
            raise

    @property
    def socket(self) -> socket.socket:
        """The socket, for an event loop."""
        return self._socket

    def fileno(self) -> int:
        """Return the socket's descriptor, which is readable once somebody notified."""
        return self._socket.fileno()

    def listen(self, *topics: str) -> None:
        """Wait for these, too."""
        if not topics:
            return
        with self._store.write() as writing:
            owner = self._store.owner(writing)
            writing.executemany(
                "INSERT OR REPLACE INTO waiters (topic, name, owner) VALUES (?, ?, ?)",
                [(topic, self.name, owner) for topic in topics],
            )
        self._topics.update(topics)

    def ignore(self, *topics: str) -> None:
        """Wait for these no more."""
        with self._store.write() as writing:
            writing.executemany("DELETE FROM waiters WHERE topic = ? AND name = ?", [(t, self.name) for t in topics])
        self._topics.difference_update(topics)

    def renew(self) -> None:
        """Write oneself into the file again, if it is another one now."""
        self.listen(*self._topics)

    def clear(self) -> bool:
        """Take the bytes that have arrived; return whether somebody else had sent one."""
        return wake.drain(self._socket)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until somebody notified, `seconds` at most; return whether somebody did."""
        return wake.wait(self._socket, seconds)

    def poke(self) -> None:
        """Wake oneself."""
        self._store.folder.send((self.name,), wake.OWN)

    def close(self) -> None:
        """Wait no more. In a child of the process that waits, the parent goes on waiting."""
        if self._socket.fileno() < 0:
            return
        if self._pid != os.getpid():
            self._socket.detach()  # not closed: a child that became a daemon may have given its number away
            return
        self._socket.close()
        self._store.folder.remove(self.name)
        if self._topics:
            with suppress(problems.BrokerFileError):  # the row goes with this process at the latest
                self.ignore(*self._topics)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
