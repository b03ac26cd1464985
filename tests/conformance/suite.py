"""The public suite http-cache-tests: where it is installed, how its server and its command are run.

Two layouts are known: that of the package in the npm registry, which `make test` installs, and that of the suite's
repository, for a copy of which see `python -m tests.conformance --help`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.conformance.scoring import Case, Outcome, Report
from tests.support.gateway_process import ROOT
from tests.support.services import Service, Spec, accepts_connections, free_port, require, start

HERE = Path(__file__).resolve().parent
INSTALLED = ROOT / ".venv" / "cache-tests" / "node_modules" / "http-cache-tests"
# Most of it is pauses: 3 s each, in which stored responses age.
LONGEST = 600.0


class Layout(NamedTuple):
    """Where the parts of the suite are, in its folder."""

    server: str
    command: str
    tests: tuple[str, ...]


_PACKAGE = Layout("server/server.mjs", "cli.mjs", ("tests/index.mjs", "tests/surrogate-control.mjs"))
_REPOSITORY = Layout("test-engine/server/server.mjs", "test-engine/cli.mjs", ("tests/index.mjs",))


class Suite:
    """One copy of the suite.

    Args:
        folder: holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.layout = _REPOSITORY if (folder / _REPOSITORY.command).exists() else _PACKAGE
        self._node = require("node", "nodejs")

    def cases(self) -> list[Case]:
        """List its tests."""
        words: list[str | Path] = [self._node, HERE / "listing.mjs", self.folder, *self.layout.tests]
        return msgspec.json.decode(subprocess.run(words, check=True, capture_output=True).stdout, type=list[Case])

    @contextmanager
    def server(self, folder: Path) -> Iterator[Service]:
        """Run its server, which is told by each test what to answer and remembers what it was asked."""
        port = free_port()
        environ = {"protocol": "http", "port": str(port), "pidfile": str(folder / "suite.pid")}
        spec = Spec(
            name="suite",
            command=[self._node, "--require", HERE / "loopback.cjs", self.folder / self.layout.server],
            folder=folder,
            is_ready=lambda: accepts_connections(port),
            environ={f"npm_config_{name}": value for name, value in environ.items()},
        )
        with start(spec) as service:
            yield Service(service.name, service.pid, service.folder, service.log, port=port)

    def run(self, port: int, only: str = "") -> Report:
        """Ask the server on a port of 127.0.0.1, which stands before `server`.

        Args:
            port: of the cache.
            only: one test; its requests and answers are printed.

        Raises:
            AssertionError: its command printed no results.
        """
        environ = {"npm_config_base": f"http://127.0.0.1:{port}", "npm_config_id": only, "npm_package_config_id": only}
        words: list[str | Path] = [self._node, "--no-warnings", self.folder / self.layout.command]
        told = subprocess.run(
            words,
            cwd=self.folder,
            env={**os.environ, **environ},
            stdout=None if only else subprocess.PIPE,
            timeout=LONGEST,
            check=False,
        ).stdout
        if only:
            return Report([], {})
        printed = told.decode()
        found = printed.find("{")
        assert found >= 0, f"the suite printed no results: {printed[-2000:]}"
        return Report(self.cases(), msgspec.json.decode(printed[found:], type=dict[str, Outcome]))


def installed() -> Suite:
    """Return the suite that `make test` installs; without it the test skips."""
    if not (INSTALLED / _PACKAGE.command).exists():
        pytest.skip("http-cache-tests is not installed; `make test` installs it where node and npm are")
    return Suite(INSTALLED)
