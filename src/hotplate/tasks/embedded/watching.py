"""Waiting for results without asking again and again: who waits opens a socket, who stores a result sends to it.

The sockets of those who wait lie in a folder beside the embedded file; their names say what they wait for, so a writer
that nobody waits for pays one stat(2). Whoever waits looks at the file after its socket is there, and whoever writes
looks for sockets after its transaction is there, so nothing falls between; and were a datagram lost, the waiting look
again every now and then.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from threading import get_native_id
from typing import Protocol

# How long a folder must have been left alone until its time of change can be believed: the kernel counts that in ticks
# of up to 10 ms, and two changes within one look like one.
_TICK = 50_000_000
_ANY = "any"
_numbers = count()


class Watch(Protocol):
    """Somebody waits; `wait` returns at once when there may be news, and after so many seconds in any case."""

    def wait(self, seconds: float) -> None:
        """Wait for news."""


class Watching:
    """Who waits for which results of one embedded file.

    Args:
        file: the embedded file; its watchers are in `<file>-waiting/`.

    Example:
        >>> watching = Watching(Path("/var/lib/site/tasks.sqlite"))
        >>> with watching.watch(["5f0c"]) as watch: watch.wait(1.0)
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.with_name(file.name + "-waiting")
        self._seen: tuple[int, tuple[str, ...]] = (-1, ())

    @contextmanager
    def watch(self, tasks: Sequence[str]) -> Iterator[Watch]:
        """Begin to wait for news of one task, or of all, where the sequence names none or many.

        Look at the results after this, and before each wait. Progress is news, too.
        """
        name = f"{_key(tasks[0]) if len(tasks) == 1 else _ANY}-{os.getpid()}-{get_native_id()}-{next(_numbers)}"
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as ear:
            try:
                self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._folder.mkdir(mode=0o700, exist_ok=True)
                with _short(self._folder) as folder:
                    ear.bind(f"{folder}/{name}")
            except OSError:  # a full disk, say: then it is looked at now and then
                yield _Deaf()
                return
            try:
                yield _Ear(ear)
            finally:
                with suppress(OSError):
                    (self._folder / name).unlink()

    def tell(self, task: str) -> None:
        """Wake those who wait for a task; never waits, never fails."""
        with suppress(OSError):
            key = _key(task)
            names = [name for name in self._names() if name.startswith((key, _ANY))]
            if names:
                self._send(names)

    def _names(self) -> tuple[str, ...]:
        changed, names = self._seen
        try:
            now = self._folder.stat().st_mtime_ns
        except FileNotFoundError:  # nobody has ever waited
            return ()
        if now != changed:
            asked = time.time_ns()
            names = tuple(os.listdir(self._folder))  # noqa: PTH208 - names are wanted, and this is asked at every result
            self._seen = (now if asked - now > _TICK else -1, names)
        return names

    def _send(self, names: Sequence[str]) -> None:
        with (
            closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as mouth,
            _short(self._folder) as folder,
        ):
            mouth.settimeout(0)
            for name in names:
                try:
                    mouth.sendto(b"!", f"{folder}/{name}")
                except ConnectionRefusedError:  # it was killed while it waited
                    (self._folder / name).unlink(missing_ok=True)
                except OSError:  # it has been told often enough, or has just gone
                    continue


class _Ear:
    def __init__(self, ear: socket.socket) -> None:
        self._ear = ear

    def wait(self, seconds: float) -> None:
        # By the timeout of a socket, which gevent and eventlet know how to wait for.
        with suppress(TimeoutError, BlockingIOError):
            self._ear.settimeout(max(seconds, 0))
            self._ear.recv(1)
            self._ear.settimeout(0)
            while True:
                self._ear.recv(1)


class _Deaf:
    def wait(self, seconds: float) -> None:
        time.sleep(max(min(seconds, 0.2), 0))


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Yield a path of the folder that leaves room in a socket's address, of which there are 108 bytes (unix(7))."""
    if len(os.fsencode(folder)) < 40 or not Path("/proc/self/fd").is_dir():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _key(task: str) -> str:
    return blake2b(task.encode(), digest_size=8).hexdigest()
