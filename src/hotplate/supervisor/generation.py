"""One version of the code: a fresh interpreter that imports the app once and then is the mold workers are forked from.

Started by the master as `python -m hotplate.supervisor.generation --channel FD`.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import msgspec
from setproctitle import setproctitle

from hotplate.apps import discover, load
from hotplate.apps.fingerprint import Release
from hotplate.apps.target import Target
from hotplate.database import pools
from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import crew, forksafety, inherit, logs, releasing, tasked, worker
from hotplate.supervisor.channel import Channel, Closed
from hotplate.supervisor.job import GatewayFactory, Job
from hotplate.supervisor.messages import (
    Configure,
    Failure,
    FromGeneration,
    Imported,
    ImportFailed,
    PreloadRefused,
    ToGeneration,
)
from hotplate.supervisor.mold import Birth, Mold, Orders

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from hotplate.tasks.found import Found

_log = logging.getLogger("hotplate.generation")

# What every worker needs, imported here once: 100 ms less for each (measured: Granian 43, uvloop 13, asyncio 36).
# Importing starts no thread and opens nothing; the tests hold them to that.
_FOR_WORKERS = ("asyncio", "uvloop", "hotplate.gateway.server", "hotplate.cache.stores.lmdb", "http_sf")

Line = Channel[FromGeneration, ToGeneration]


class Preloaded(NamedTuple):
    """What the import left: the app (None if each worker is to import it), its engines, what speaks against a fork.

    `found` is its tasks.
    """

    app: load.LoadedApp | None
    engines: Sequence[Engine]
    doubts: tuple[str, ...]
    release: Release | None = None
    found: Found | None = None


def main(argv: Sequence[str] | None = None, serving: Callable[[], GatewayFactory] | None = None) -> None:
    """Live a generation's life; never returns.

    Args:
        argv: command line without the program.
        serving: gives what makes a worker's gateway; the real one unless a test says otherwise.
    """
    parser = argparse.ArgumentParser(prog="hotplate.supervisor.generation")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of the line to the master")
    line: Line = Channel(socket.socket(fileno=parser.parse_args(argv).channel), ToGeneration)
    line.sock.set_inheritable(False)  # programs that the app starts have no business with the master
    inherit.heed_master_only()
    faulthandler.register(signal.SIGUSR2, all_threads=True)  # workers inherit it: where does it hang?
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # what the app prints is to be seen when it is printed, also in a pipe
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # the suppressed error
    orders = _first_orders(line)
    configured = orders.pop(0)[0] if orders else None
    if not isinstance(configured, Configure):  # the master has died or thought better of it
        inherit.leave(int(ExitCode.OK), 0)
    logs.configure(configured.settings.log_format)
    with suppress(Closed):
        _Generation(line, configured, serving or _real_gateway).live(orders)
    inherit.leave(int(ExitCode.OK), 0)  # threads of the import are nobody's work in progress


class _Generation:
    """See `main`."""

    def __init__(self, line: Line, configured: Configure, serving: Callable[[], GatewayFactory]) -> None:
        self._line = line
        self._settings = configured.settings
        self._preload = configured.preload
        self._serving = serving
        self._cwd = Path.cwd()

    def live(self, orders: Orders) -> None:
        """Import, or leave that to the workers; then carry out `orders` and those that follow."""
        setproctitle(f"hotplate: generation {self._settings.target}".rstrip())
        began = time.monotonic()
        try:
            factory = self._serving()
            found = discover.find(self._settings.target, self._cwd, os.environ)
            preloaded = Preloaded(None, (), ()) if self._preload == "off" else self._import(found.target)
        except HotplateError as error:
            self._line.send(ImportFailed(Failure.of(error)))
            return
        except Exception as bug:  # noqa: BLE001  reported with its traceback
            self._line.send(ImportFailed(Failure.of(_unexpected(bug))))
            return
        if preloaded.doubts and self._preload == "auto":
            self._line.send(PreloadRefused(preloaded.doubts))
            return
        title = f"{preloaded.app.name if preloaded.app else found.target}"
        setproctitle(f"hotplate: generation {title}")
        gc.collect()
        gc.freeze()
        self._line.send(self._imported(title, preloaded, time.monotonic() - began))

        def work(birth: Birth) -> NoReturn:
            app, engines, _, release, tasks = preloaded
            job = Job(birth, self._settings, found.target, self._cwd, app, release, tasks, engines)
            if birth.order.role == "web":
                inherit.renew(f"hotplate: worker {birth.slot} {title}", engines)
                worker.main(job, factory)
            inherit.renew(f"hotplate: {birth.order.role} {title}", engines)
            crew.main(job)

        Mold(self._line, work).run(orders)

    def _import(self, target: Target) -> Preloaded:
        before = forksafety.observe()
        with forksafety.recording_starts() as started:
            app, release = releasing.loaded(target, self._cwd, self._settings)
        for warning in app.warnings:
            _log.warning("%s", warning)
        tasks = tasked.look(app)
        if tasks:
            tasked.prepare(tasks)
        engines = pools.find()
        pools.close_idle(engines)
        doubts = forksafety.findings(before, started)
        if doubts and self._preload == "on":
            _log.warning(
                "Workers are forked from the imported app (preload is on) although it has %s", "; ".join(doubts)
            )
        return Preloaded(app, engines, doubts, release, tasks)

    def _imported(self, title: str, preloaded: Preloaded, seconds: float) -> Imported:
        app, release = preloaded.app, preloaded.release
        if app is None or release is None:
            reason = "preload is off" if self._settings.preload == "off" else "it is not safe to fork"
            return Imported(title, "", "", seconds, preloaded=False, why=f"each worker imports it: {reason}")
        why = f"preload is on, despite {'; '.join(preloaded.doubts)}" if preloaded.doubts else "safe to fork"
        kind = app.kind if releasing.is_of_the_web(app) else ""
        told = Imported(title, kind, app.framework or "", seconds, preloaded=True, why=why)
        tasks = tasked.told(preloaded.found)
        return msgspec.structs.replace(told, release=release.text, release_why=release.why, tasks=tasks)


def _first_orders(line: Line) -> Orders:
    """Wait for the settings, which may come with orders behind them; none when there is no master any more."""
    orders: Orders = []
    with suppress(Closed):
        while not orders:
            orders += line.feed()
    return orders


def _real_gateway() -> GatewayFactory:
    for name in _FOR_WORKERS:
        with suppress(ModuleNotFoundError):  # uvloop does not exist everywhere
            importlib.import_module(name)
    from hotplate.gateway.server import Gateway

    return Gateway


def _unexpected(bug: Exception) -> HotplateError:
    return HotplateError(
        "prepare the app",
        "".join(traceback.format_exception_only(bug)),
        "This looks like a fault in Hotplate; please report it with these lines.",
        code=ExitCode.FAILED,
        detail="".join(traceback.format_exception(bug)),
    )


if __name__ == "__main__":
    main()
