"""A master for tests: starts a generation, says what it is told to say, and waits for what is to be heard."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, TypeVar

import hotplate
from hotplate.settings import Settings
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.messages import (
    Beat,
    Configure,
    Fork,
    Forked,
    FromGeneration,
    FromWorker,
    Imported,
    Ready,
    Reaped,
)
from tests.support.waiting import DEADLINE, wait_until

Heard = TypeVar("Heard")
FAKE = (str(Path(__file__).with_name("fake_gateway.py")),)
REAL = ("-m", "hotplate.supervisor.generation")


class Line:
    """One line of talk, with everything that was heard on it."""

    def __init__(self, sock: socket.socket, receives: object) -> None:
        self.channel: Channel[Any, Any] = Channel(sock, receives)
        self.heard: list[Any] = []
        self.closed = False
        self._read = 0

    def hear(self, kind: type[Heard] | tuple[type[Heard], ...], what: str = "") -> Heard:
        """Return the next message of this kind; others are passed over."""
        deadline = time.monotonic() + DEADLINE
        while True:
            while self._read < len(self.heard):
                self._read += 1
                if isinstance(self.heard[self._read - 1], kind):
                    found: Heard = self.heard[self._read - 1]
                    return found
            assert not self.closed, f"the line ended without {kind} {what}: {self.news()}"
            assert time.monotonic() < deadline, f"waited in vain for {kind} {what}: {self.news()}"
            self.listen(0.1)

    def listen(self, seconds: float) -> None:
        """Take in what arrives within `seconds`."""
        if self.closed or not select.select([self.channel.sock], [], [], seconds)[0]:
            return
        try:
            self.heard += [message for message, _descriptors in self.channel.feed()]
        except Closed:
            self.closed = True

    def news(self) -> list[Any]:
        """Return what was heard without the beats, of which there are many."""
        return [message for message in self.heard if not isinstance(message, Beat)]

    def hear_end(self) -> None:
        """Wait for the other end to close."""

        def ended() -> bool:
            self.listen(0.1)
            return self.closed

        wait_until(ended, what="the line has ended")


class FakeMaster:
    """A running generation in `folder`, and the lines to it and its workers."""

    def __init__(self, folder: Path, program: tuple[str, ...] = FAKE, **environment: str) -> None:
        mine, theirs = socket.socketpair()
        self.log = folder / "log.txt"
        paths = [str(Path(hotplate.__file__).parents[1]), str(Path(__file__).parents[2])]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *program, "--channel", str(theirs.fileno())],
                cwd=folder,
                pass_fds=[theirs.fileno()],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            )
        theirs.close()
        self.generation = Line(mine, FromGeneration)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.workers: dict[int, Line] = {}
        self.pids: list[int] = []

    def configure(self, settings: Settings, preload: Literal["auto", "on", "off"] = "auto") -> None:
        """Tell the generation by which settings to serve."""
        self.generation.channel.send(Configure(settings, preload))

    def fork(self, slot: int = 0, serial: int = 1) -> tuple[Line, int]:
        """Have a worker forked; returns the line to it and its pid."""
        line = self.order_fork(slot, serial)
        forked = self.generation.hear(Forked)
        assert (forked.slot, forked.serial) == (slot, serial)
        self.pids.append(forked.pid)
        return line, forked.pid

    def order_fork(self, slot: int = 0, serial: int = 1) -> Line:
        """Order a fork; returns the line to what may become a worker."""
        mine, theirs = socket.socketpair()
        self.generation.channel.send(Fork(slot, serial, listeners=1), [self.listener.fileno(), theirs.fileno()])
        theirs.close()
        self.workers[serial] = Line(mine, FromWorker)
        return self.workers[serial]

    def reaped(self, pid: int) -> int:
        """Wait until the generation has reaped `pid`; returns its status."""
        while True:
            fact = self.generation.hear(Reaped, f"of {pid}")
            if fact.pid == pid:
                return fact.status

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """Ask a worker through the listener; returns the status and everything after it."""
        with socket.create_connection(self.listener.getsockname()[:2], timeout=DEADLINE) as sock:
            sock.sendall(b"GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % path.encode())
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        return int(answer.split(b" ")[1]), answer

    def logged(self) -> str:
        """Return what the processes printed."""
        return self.log.read_text()

    def die(self) -> None:
        """Close every line at once, as a killed master does."""
        for line in (self.generation, *self.workers.values()):
            line.channel.close()
            line.closed = True

    def end(self) -> None:
        """Leave nothing behind."""
        self.die()
        self.listener.close()
        for pid in [*self.pids, self.process.pid]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ready(master: FakeMaster, settings: Settings, **options: int) -> tuple[Line, int]:
    """Bring a worker up."""
    if not master.workers:
        master.configure(settings, settings.preload)
        master.generation.hear(Imported)
    line, pid = master.fork(**options)
    line.hear(Ready)
    return line, pid
