"""A private server for a test: started on a free port in a temporary folder, ended by its own process id.

    with start(Spec(name="redis", command=[...], folder=folder, is_ready=...)) as service: ...

The servers themselves are described in `servers.py`; fixtures for them are in `tests/conftest.py`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.waiting import DEADLINE, accepts_connections, free_port, wait_until

# What tests import from here, waits included: one place to look.
__all__ = [
    "Restartable",
    "Service",
    "ServiceFailedError",
    "Spec",
    "accepts_connections",
    "free_port",
    "log_tail",
    "require",
    "start",
    "stop",
    "wait_until",
]

# Debian keeps servers in sbin, which an ordinary user's PATH lacks.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
# How long a server may take to end by itself before it is killed.
STOP_DEADLINE = 15.0
_LOG_TAIL = 60


class ServiceFailedError(Exception):
    """A private server ended, or did not become ready; carries the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """How to start a server, and how to tell that it serves.

    Args:
        name: for messages and the log's file name.
        command: runs in the foreground and stays one process tree, whose root is the process started.
        folder: existing folder; the log goes there.
        is_ready: true once it serves; polled.
        stop_signal: ends it in order, fast, without waiting for its clients.
        user: the account it runs as; None for our own.
        environ: added to our environment.
    """

    name: str
    command: Sequence[str | Path]
    folder: Path
    is_ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Holds all it writes to stdout and stderr."""
        return self.folder / f"{self.name}.log"


@dataclass(frozen=True)
class Service:
    """A server that runs: who it is, where it is, and what it said.

    Args:
        name: as in its `Spec`.
        pid: of the process that was started.
        folder: holds its data and its log.
        log: all it wrote to stdout and stderr.
        url: where it serves, as its clients want it; empty where there is no one answer.
        port: TCP port on 127.0.0.1, 0 where there is no one answer.
    """

    name: str
    pid: int
    folder: Path
    log: Path
    url: str = ""
    port: int = 0

    def log_tail(self) -> str:
        """Returns the last lines of its log."""
        return log_tail(self.log)


@contextmanager
def start(spec: Spec) -> Iterator[Service]:
    """Starts a server, waits until it serves, and ends it afterwards, by its own process id.

    Raises:
        ServiceFailedError: it ended, or was not ready within the deadline.
    """
    with spec.log.open("ab") as log:
        process = subprocess.Popen(
            [*_dies_with_us(spec.stop_signal), *map(str, spec.command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=spec.folder,
            env={**os.environ, **spec.environ},
            start_new_session=True,  # a Ctrl-C meant for the test run is no order to the server
            user=spec.user,
            group=spec.user,
            extra_groups=[] if spec.user else None,
        )
    try:
        _wait_ready(spec, process)
        yield Service(spec.name, process.pid, spec.folder, spec.log)
    finally:
        stop(process, spec.stop_signal)


class Restartable:
    """A server that may be stopped, killed, frozen and started again where it was.

    Args:
        running: what ends with the tests.
    """

    def __init__(self, running: ExitStack) -> None:
        self._running = running
        self._server: ExitStack | None = None
        self._pid = 0

    def spec(self) -> Spec:
        """Return how it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it where it was, unless it runs."""
        if self._server is not None:
            return
        with ExitStack() as server:
            self._pid = server.enter_context(start(self.spec())).pid
            self._server = server.pop_all()
        self._running.push(self._server)

    def stop(self) -> None:
        """End it in order."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def kill(self) -> None:
        """End it as a machine that loses its power does."""
        os.kill(self._pid, signal.SIGKILL)
        self.stop()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it from doing anything meanwhile, without ending it."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        return log_tail(self.spec().log)


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals = signal.SIGTERM) -> None:
    """Ends a process that we started: in order if it will, by force if it will not."""
    process.send_signal(stop_signal)  # does nothing to a process that has been waited for
    try:
        process.wait(STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(DEADLINE)


def require(*commands: str) -> Path:
    """Returns the first of the commands that is installed; without any, the test skips and says how to get them."""
    found = [path for command in commands if (path := shutil.which(command, path=SEARCH_PATH))]
    if not found:
        skip_for_want_of(commands[0])
    return Path(found[0])


def skip_for_want_of(what: str) -> NoReturn:
    """Skips the test for want of a program; under CI=true that is a failure (see `tests/conftest.py`)."""
    pytest.skip(f"{what} is not installed; `make test` installs it as root, or says what to install")


def log_tail(log: Path, lines: int = _LOG_TAIL) -> str:
    """Returns the last lines of a log; nothing if there is no such file."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _wait_ready(spec: Spec, process: subprocess.Popen[bytes]) -> None:
    def ended_or_ready() -> bool:
        return process.poll() is not None or spec.is_ready()

    try:
        wait_until(ended_or_ready, what=f"{spec.name} is ready", ignoring=(ConnectionError, TimeoutError))
    except AssertionError as error:
        message = f"{error}\n{log_tail(spec.log)}"
        raise ServiceFailedError(message) from error
    if process.poll() is not None:
        message = f"{spec.name} ended with status {process.returncode} before it was ready:\n{log_tail(spec.log)}"
        raise ServiceFailedError(message)


def _dies_with_us(stop_signal: signal.Signals) -> list[str]:
    """Wraps a command so that the kernel ends it when we are killed without a chance to tidy up (prctl(2))."""
    setpriv = shutil.which("setpriv", path=SEARCH_PATH)
    return [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"] if setpriv else []
