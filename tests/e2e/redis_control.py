"""A private Redis that a test stops, kills, freezes and starts again, always on the same port."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.support.servers import redis_says, server_folder
from tests.support.services import Service, Spec, free_port, require, start


class PrivateRedis:
    """A redis-server; `url` is its address, whether it runs or not.

    Args:
        folder: its own.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._running = ExitStack()
        self._service: Service | None = None

    def start(self) -> None:
        """Start it, empty; returns when it answers."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self._folder), "save": ""}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        command: list[str | Path] = [require("redis-server", "valkey-server"), *words]
        spec = Spec(
            name="redis",
            command=command,
            folder=self._folder,
            is_ready=lambda: redis_says(self.port, "PING") == "+PONG",
        )
        self._service = self._running.enter_context(start(spec))

    def stop(self) -> None:
        """Have it end in order."""
        self._running.pop_all().close()
        self._service = None

    def kill(self) -> None:
        """Kill it."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Have it hold still: its connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._service is not None
        with suppress(ProcessLookupError):
            os.kill(self._service.pid, number)

    def close(self) -> None:
        """End it, whatever its state."""
        if self._service is not None:
            self.thaw()
            self.stop()


@contextmanager
def private_redis() -> Iterator[PrivateRedis]:
    """Start a Redis of the test's own and end it with the block."""
    with server_folder("redis") as folder:
        server = PrivateRedis(folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
