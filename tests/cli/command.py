"""The real command in a folder of its own: run to its end, or kept running, and ended whatever happens."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support.waiting import DEADLINE, wait_until

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "hotplate")
HELLO = """
from flask import Flask

app = Flask(__name__)

@app.get("/")
def hello():
    return "hello"
"""
# What a developer's own shell may have set, and would be heeded.
_HEEDED = re.compile(r"HOTPLATE_.*|PORT|REDIS_URL|WEB_CONCURRENCY|FLASK_APP|NO_COLOR|TERM|CI|NOTIFY_SOCKET|LISTEN_.*")


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error line."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


class Running:
    """A command that goes on.

    Args:
        process: its process.
        log: what it writes to stderr.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def text(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text("utf-8")

    def wait_for(self, text: str) -> str:
        """Wait until it has written `text`; return all it has written."""

        def written() -> str:
            said = self.text()
            assert text in said or self.process.poll() is None, f"it ended without {text!r}:\n{said}"
            return said if text in said else ""

        return wait_until(written, what=f"it says {text!r}")

    @property
    def address(self) -> str:
        """The URL it serves."""
        found = re.search(r"Serving on (http\S+)", self.wait_for("Serving on "))
        assert found
        return found[1]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit status; nothing of it is left."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert not alive
        return status

    def destroy(self) -> None:
        """End it without ceremony, if it is still there."""
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.kill()
        self.process.wait(DEADLINE)


class Hotplate:
    """The command, in a folder.

    Args:
        folder: where it is run; files go there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Running] = []

    def write(self, **files: str) -> None:
        """Write modules: `shop="..."` is shop.py."""
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")

    def run(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        deadline: float = DEADLINE,
    ) -> Done:
        """Run it to its end; `before` is a command that runs it."""
        done = subprocess.run(
            [*before, *COMMAND, *words],
            cwd=self.folder,
            env=environment(env),
            capture_output=True,
            check=False,
            timeout=deadline,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Running:
        """Run it and go on; on a port of the kernel's choice unless `words` name one."""
        where = () if "--bind" in words else ("--bind", "127.0.0.1:0")
        log = self.folder / f"log-{len(self.running)}"
        with log.open("wb") as err, (self.folder / "out").open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "run", *words, *where],
                cwd=self.folder,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.running.append(Running(process, log))
        return self.running[-1]

    def serve(self, *words: str, env: Mapping[str, str] | None = None) -> Running:
        """Start it and wait until it serves."""
        running = self.start(*words, env=env)
        running.wait_for("Serving on ")
        return running


class Terminal:
    """The command on a terminal of its own.

    Args:
        folder: where it is run.
        words: what is typed after `hotplate`.
        env: added to the environment.
    """

    def __init__(self, folder: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=folder,
            env=environment({"TERM": "xterm", **(env or {})}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: str) -> str:
        """Read until `text` is seen; return all that was."""
        while text not in self.seen:
            assert self._read(), f"it ended without {text!r}: {self.seen!r}"
        return self.seen

    def read_all(self) -> str:
        """Read until it has ended; return all that was seen."""
        while self._read():
            pass
        self.process.wait(DEADLINE)
        return self.seen

    def close(self) -> None:
        """End it, if it is still there."""
        Running(self.process, Path()).destroy()
        os.close(self._ours)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._ours, 4096)
        except OSError:  # Linux's way to say that nobody holds the other end any more: pty(7)
            return False
        self.seen += chunk.decode("utf-8", "replace")
        return bool(chunk)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without what a developer's own shell may have set."""
    kept = {name: value for name, value in os.environ.items() if not _HEEDED.fullmatch(name)}
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **(more or {})}
