"""What a worker is to do, and what it wants of the gateway that does it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hotplate.apps.fingerprint import Release
from hotplate.apps.load import LoadedApp
from hotplate.apps.target import Target
from hotplate.gateway.traffic import Traffic
from hotplate.settings import Settings
from hotplate.supervisor.mold import Birth
from hotplate.supervisor.warming import Rehearses

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hotplate.tasks.found import Found


class Request(Protocol):
    """What is told of a hung request."""

    method: str
    path: str
    started: float  # by time.perf_counter


class Serves(Rehearses, Protocol):
    """What a worker wants of its gateway (`hotplate.gateway.server.Gateway`)."""

    on_hung: Callable[[Any, str], None]

    async def startup(self) -> None: ...  # noqa: D102  see Gateway
    def serve(self, listeners: Sequence[socket.socket]) -> None: ...  # noqa: D102  see Gateway
    def snapshot(self) -> Traffic: ...  # noqa: D102  see Gateway
    def shed(self, count: int, /) -> None: ...  # noqa: D102  see Gateway
    def park(self) -> None: ...  # noqa: D102  see Gateway
    async def drain(self, grace: float) -> int: ...  # noqa: D102  see Gateway
    async def shutdown(self) -> None: ...  # noqa: D102  see Gateway


GatewayFactory = Callable[[LoadedApp, Settings], Serves]


class Job(NamedTuple):
    """What a worker is to do.

    Args:
        birth: how it came into the world.
        settings: what it is to serve by.
        target: the app.
        cwd: where that is looked for.
        app: the same, imported; None where the worker has to import it itself.
        release: version of the code; None before the import.
        found: the app's tasks; None if it has none, and before the import.
        engines: the SQLAlchemy engines that existed before the fork.
    """

    birth: Birth
    settings: Settings
    target: Target
    cwd: Path
    app: LoadedApp | None
    release: Release | None = None
    found: Found | None = None
    engines: Sequence[Engine] = ()
