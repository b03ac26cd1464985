"""A master over the fake generation, in a folder of its own: started, asked, signalled, and surely ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import hotplate
from hotplate.supervisor import control
from hotplate.supervisor.report import StatusReport, WorkerReport
from tests.support.waiting import wait_until

SOURCE = str(Path(hotplate.__file__).parent.parent)
PROGRAM = Path(__file__).with_name("run_master.py")
# LISTEN_PID has to be the number of the process that the program will be.
_HAND_OVER = (
    sys.executable,
    "-c",
    """import os, sys
os.dup2(int(os.environ.pop("TEST_LISTENER")), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[1], sys.argv[1:])""",
)


class Slow(NamedTuple):
    """A request in flight, and the slot whose worker has it."""

    connection: socket.socket
    slot: int

    def finish(self, path: str = "/") -> dict[str, Any]:
        """Let it be answered and return the answer; {} when it broke off."""
        with suppress(ConnectionError):
            self.connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return answer(self.connection)
        return {}


class Instance:
    """One master; `script` is what its generations read when they start."""

    def __init__(self, folder: Path, script: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.log = folder / "events.jsonl"
        self.errors = folder / "stderr.txt"
        self.script(**(script or {}))
        self.runtime = tempfile.mkdtemp(prefix="hp")  # short, as the path of a Unix socket has to be
        self.process: subprocess.Popen[bytes] | None = None

    def script(self, **rules: object) -> None:
        """Write what generations that start from now on do."""
        (self.folder / "script.json").write_text(json.dumps(rules))

    def start(self, *flags: str, listener: int = -1, **environment: str) -> Instance:
        """Start the master and return at once; `listener` is handed over as systemd does."""
        settings = {"bind": "127.0.0.1:0", "workers": "2", "grace": "20s"}
        settings |= dict(flag.split("=", 1) for flag in flags)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOTPLATE")}
        with self.log.open("ab") as out, self.errors.open("ab") as err:
            self.process = subprocess.Popen(
                [
                    *(_HAND_OVER if listener >= 0 else ()),
                    sys.executable,
                    str(PROGRAM),
                    *(f"{name}={value}" for name, value in settings.items()),
                ],
                cwd=self.folder,
                pass_fds=(listener,) if listener >= 0 else (),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=kept
                | {"PYTHONPATH": SOURCE, "XDG_RUNTIME_DIR": self.runtime, "TEST_LISTENER": str(listener)}
                | environment,
            )
        return self

    def serving(self) -> Instance:
        """Return when it serves."""
        self.event("Serving")
        return self

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return the events so far, of one kind or all."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if kind in {"", line["type"]}]

    def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Return the `count`th event of a kind, waiting for it."""

        def found() -> list[dict[str, Any]]:
            events = self.events(kind)
            return events if len(events) >= count else []

        return wait_until(found, what=f"{kind} is reported {count} times")[count - 1]

    @property
    def pid(self) -> int:
        """The master's process number."""
        assert self.process
        return self.process.pid

    @property
    def port(self) -> int:
        """The port of its first address."""
        return int(str(self.event("Listening")["addresses"][0]).rpartition(":")[2])

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def get(self, path: str = "/") -> dict[str, Any]:
        """Return what a worker answers; {} when it broke off."""
        with self.connect() as connection, suppress(ConnectionError):
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return answer(connection)
        return {}

    @contextmanager
    def slow(self) -> Iterator[Slow]:
        """A request that a worker has in flight until `Slow.finish`."""
        with self.connect() as connection:
            connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            yield Slow(connection, int(connection.recv(1)))

    def get_from(self, slot: int, path: str) -> None:
        """Ask the worker of `slot` for `path`."""

        def asked() -> bool:
            with self.slow() as request:
                found = bool(request.slot == slot)
                request.finish(path if found else "/")
            return found

        wait_until(asked, what=f"slot {slot} is asked for {path}")

    def ask(self, order: control.Order) -> control.Done:
        """Give an order as the command line does."""
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = self.runtime
        try:
            return control.ask(self.folder, "default", order, patience=60)
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before

    def status(self) -> StatusReport:
        """Return its report."""
        report = self.ask(control.Status())
        assert isinstance(report, StatusReport)
        return report

    def warm(self) -> dict[int, WorkerReport]:
        """Return the workers that serve, by slot."""
        return {worker.slot: worker for worker in self.status().workers if worker.state == "ready"}

    def wait_for_another_than(self, pid: int) -> None:
        """Return when slot 0 is served, and not by `pid`."""

        def is_another() -> bool:
            worker = self.warm().get(0)
            return worker is not None and worker.pid != pid

        wait_until(is_another, what=f"somebody else than {pid} serves slot 0")

    def signal(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Return the master's exit status, waiting for its end."""
        assert self.process
        return self.process.wait(60)

    def family(self) -> list[int]:
        """Return the process numbers of everything below the master."""
        return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]

    def end(self) -> None:
        """End it and everything it started, in whatever state it is."""
        shutil.rmtree(self.runtime, ignore_errors=True)  # a master that is ending removes its files itself
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.pid).children(recursive=True)
            if self.process.poll() is None:
                self.process.kill()
            for child in family:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self.process.wait(60)


def answer(connection: socket.socket) -> dict[str, Any]:
    """Return what a fake worker answers; {} when it broke off."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    body = received.partition(b"\r\n\r\n")[2]
    return dict(json.loads(body)) if body else {}


def is_alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
