"""Stands in for a generation and its workers: speaks the channel, imports nothing, does as a script file says.

`script.json` in the working folder is read by each generation when it starts: {"version": "1", "import": "ok",
"boot": "ok", "fail_slot": -1}, beside them "tasks": "scheduled", "boot_tasks" and "boot_beat". What a worker is asked
for over HTTP makes it misbehave; see `_DEEDS`. With "tasks": "sends" it has a Celery app without tasks.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from hotplate.errors import ExitCode
from hotplate.gateway.traffic import Traffic
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.messages import (
    Beat,
    BootFailed,
    Configure,
    Drain,
    Drained,
    Failure,
    Fork,
    Forked,
    FromGeneration,
    FromWorker,
    Hung,
    Imported,
    ImportFailed,
    Outgrown,
    Parked,
    PreloadRefused,
    Ready,
    Reaped,
    Retire,
    Shed,
    TasksFound,
    ToGeneration,
    ToWorker,
    Warmed,
)
from hotplate.supervisor.tally import Tally

_BEAT = 0.05


def _failure(attempted: str, code: ExitCode) -> Failure:
    return Failure(attempted, "the script says so", "Change the script.", int(code), "line 1 of app.py")


class FakeWorker:
    """Answers every request with its pid, slot and version, and closes the connection."""

    def __init__(self, order: Fork, sockets: list[socket.socket], script: dict[str, Any]) -> None:
        *self.listeners, line = sockets
        self.channel: Channel[FromWorker, ToWorker] = Channel(line, ToWorker)
        self.order = order
        self.script = script
        self.selector = selectors.DefaultSelector()
        self.open: set[socket.socket] = set()
        self.requests = self.shed = 0
        self.began = self.beaten = self.asked = time.monotonic()
        self.draining = self.silent = False

    def live(self) -> None:
        """Boot as the script says, then serve until drained."""
        boots = self.script.get("boot", "ok") if self.order.slot != self.script.get("fail_slot") else "fail"
        match boots if self.order.role == "web" else self.script.get(f"boot_{self.order.role}", "ok"):
            case "fail":
                self.channel.send(BootFailed(_failure(f"warm worker {self.order.slot} up", ExitCode.WARMUP_FAILED)))
                return
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(600)
        self.selector.register(self.channel, selectors.EVENT_READ, self.hear)
        for listener in self.listeners:
            listener.listen(64)
            self.selector.register(listener, selectors.EVENT_READ, self.accept)
        private = self.script.get("private", 1 << 20)
        self.channel.send(Ready(0.001, private, (Warmed("/", 0.0005),)))
        while not (self.draining and not self.open):
            for key, _events in self.selector.select(_BEAT):
                key.data(key.fileobj)
            if not self.silent and time.monotonic() - self.beaten > _BEAT:
                self.beaten = time.monotonic()
                idle = 0.0 if self.open else self.beaten - self.asked
                traffic = Traffic(requests=self.requests, in_flight=len(self.open), idle=idle)
                tally = Tally(succeeded=1, processes=(self.order.tasks, self.order.turn))
                self.channel.send(Beat(traffic, tasks=tally if self.order.role == "tasks" else None))
        self.channel.send(Drained(0))

    def hear(self, _channel: object) -> None:
        """Obey the master; without one, drain."""
        try:
            for order, _fds in self.channel.feed():
                match order:
                    case Drain():
                        self.drain()
                    case Shed():
                        self.shed += order.connections
        except Closed:
            os._exit(0)

    def drain(self) -> None:
        """Accept no more."""
        if not self.draining:
            self.draining = True
            for listener in self.listeners:
                self.selector.unregister(listener)
            self.channel.send(Parked())

    def accept(self, listener: socket.socket) -> None:
        """Take a connection."""
        with contextlib.suppress(BlockingIOError):
            connection, _address = listener.accept()
            connection.setblocking(True)
            self.selector.register(connection, selectors.EVENT_READ, self.answer)
            self.open.add(connection)

    def answer(self, connection: socket.socket) -> None:
        """Answer a request, or the byte that ends a slow one."""
        data = connection.recv(65536)
        if data.startswith(b"GET /slow ") and data.count(b"GET ") == 1:
            connection.sendall(b"%d\n" % self.order.slot)  # who has it; answered when the client asks for more
            return
        self.asked = time.monotonic()
        path = data.split(b" ")[1].decode() if data.count(b" ") > 1 else "/"
        if data:
            self.requests += 1
            _DEEDS.get(path, lambda _worker: None)(self)
            body = json.dumps(
                {
                    "pid": os.getpid(),
                    "slot": self.order.slot,
                    "serial": self.order.serial,
                    "version": self.script.get("version", "1"),
                    "shed": self.shed,
                }
            ).encode()
            with contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.selector.unregister(connection)
        self.open.discard(connection)
        connection.close()


def _garbage(worker: FakeWorker) -> None:
    worker.channel.sock.sendall(b"\0\0\0\5\0what?")


def _twice(worker: FakeWorker) -> None:
    worker.channel.send(Ready(0.0, 0, ()))


_DEEDS: dict[str, Any] = {
    "/exit": lambda _worker: os._exit(3),
    "/garbage": _garbage,
    "/ready-again": _twice,
    "/silent": lambda worker: setattr(worker, "silent", True),
    "/hung": lambda worker: worker.channel.send(Hung("GET /hung", 30.0, "a stack")),
    "/outgrown": lambda worker: worker.channel.send(Outgrown("it is too big")),
}


class FakeGeneration:
    """Says what the script has it say about the import, then forks and reaps."""

    def __init__(self, line: Channel[FromGeneration, ToGeneration], script: dict[str, Any]) -> None:
        self.line = line
        self.script = script
        self.children: set[int] = set()
        self.retired = False
        self.rings, self.bell = socket.socketpair()

    def imports(self) -> bool:
        """Import as the script says; False if there is nothing to fork from."""
        configured = next(message for message, _fds in self.line.feed())
        assert isinstance(configured, Configure)
        preloads = configured.preload != "off"
        match self.script.get("import", "ok"):
            case "refuse" if preloads:
                self.line.send(PreloadRefused(("a thread named ticker",)))
                return False
            case "fail":
                self.line.send(ImportFailed(_failure("import app", ExitCode.APP_IMPORT_FAILED)))
                return False
            case "die":
                os._exit(7)
            case "hang":
                time.sleep(600)
        told = self.script.get("tasks")
        count = 0 if told == "sends" else 2
        found = TasksFound("shop", count, schedule=told == "scheduled", broker="redis://cache") if told else None
        if found and "cautions" in self.script:
            found = msgspec.structs.replace(found, cautions=tuple(self.script["cautions"]))
        self.line.send(Imported("app:app", "wsgi", "flask", 0.1, preloads, "as the script says", tasks=found))
        return True

    def live(self) -> None:
        """Fork when told to, until retired and childless, or without a master."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.rings.setblocking(False)
        self.bell.setblocking(False)
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self.rings, selectors.EVENT_READ, self.reap)
        selector.register(self.line, selectors.EVENT_READ, self.obey)
        with contextlib.suppress(Closed):
            while self.children or not self.retired:
                for key, _events in selector.select():
                    key.data()

    def reap(self) -> None:
        """Say who has ended."""
        with contextlib.suppress(BlockingIOError):
            self.rings.recv(4096)
        for pid in list(self.children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.children.discard(pid)
                self.line.send(Reaped(pid, os.waitstatus_to_exitcode(status)))

    def obey(self) -> None:
        """Do what the master says."""
        for order, descriptors in self.line.feed():
            match order:
                case Fork():
                    self.fork(order, [socket.socket(fileno=descriptor) for descriptor in descriptors])
                case Retire():
                    self.retired = True

    def fork(self, order: Fork, sockets: list[socket.socket]) -> None:
        """Fork a worker."""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self.line.close()
            with contextlib.suppress(Closed, msgspec.MsgspecError):
                FakeWorker(order, sockets, self.script).live()
            os._exit(0)
        self.children.add(pid)
        self.line.send(Forked(order.slot, order.serial, pid))
        for each in sockets:
            each.close()


def main() -> None:
    """Live a generation's life."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    line: Channel[FromGeneration, ToGeneration] = Channel(socket.socket(fileno=int(sys.argv[-1])), ToGeneration)
    generation = FakeGeneration(line, json.loads(Path("script.json").read_text()))
    if generation.imports():
        generation.live()


if __name__ == "__main__":
    main()
