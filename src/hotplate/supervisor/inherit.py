"""What a worker must undo, renew and calm down of the memory that it was forked with."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from setproctitle import setproctitle

from hotplate.database import pools

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A Flask page with 20 rows and their children through SQLAlchemy's ORM, 9 interleaved rounds of 300 requests, medians:
# 2.50 ms of CPU and a p99 of 4.6 ms with CPython's 700; 2.35 and 4.5 with 5,000; 2.27 and 3.2 with 20,000; no better
# with 50,000. The memory of the process was the same. An app that has set thresholds of its own keeps them.
_YOUNG = 20_000
_AT_START = gc.get_threshold()


def renew(title: str, engines: Sequence[Engine]) -> None:
    """Make a process of its own out of a fresh fork. The standard library's `random` reseeds itself.

    Args:
        title: the name of the process in ps(1).
        engines: the SQLAlchemy engines that existed before the fork.
    """
    setproctitle(title)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    heed_master_only()
    os.register_at_fork(after_in_child=_usual_signals)
    _forget_exit_handlers()
    part(engines)
    calm_collector()


def part(engines: Sequence[Engine]) -> None:
    """Leave its connections to the parent, and draw other random numbers than it; in every process that is forked.

    Args:
        engines: the SQLAlchemy engines that existed before the fork.
    """
    pools.leave_to_parent(engines)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()


def heed_master_only() -> None:
    """Ignore what a terminal sends to the whole group (Ctrl-C, hang-up): the master alone decides what it means.

    A handler that does nothing, and not SIG_IGN: programs that the app starts would inherit that, and then no Ctrl-C
    could end them (execve(2)).
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _nothing)


def calm_collector() -> None:
    """Let the garbage collector run less often; what was loaded before the fork is frozen and not looked at."""
    if gc.get_threshold() == _AT_START:
        gc.set_threshold(_YOUNG, *_AT_START[1:])
    gc.enable()


def leave(status: int, patience: float) -> NoReturn:
    """End the process: wait for the app's non-daemon threads, run the exit handlers, write out what was printed.

    A normal exit of Python would do the same, but wait for ever and then take the memory apart piece by piece, which
    copies the pages shared with the generation and lets database drivers say goodbye on their parent's connections.

    Args:
        status: exit status.
        patience: seconds after which threads and handlers are left where they are; with 0 no thread is waited for,
            and the handlers get a second.
    """
    deadline = threading.Timer(patience or 1.0, os._exit, (status,))
    deadline.daemon = True
    deadline.start()
    if patience:
        with suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  also ends concurrent.futures' idle threads; there is no public name
    with suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001  as multiprocessing's forked children do (popen_fork.py, CPython 3.13)
    flush()
    os._exit(status)


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed, replaced, or a pipe that nobody reads any more
            stream.flush()


def _forget_exit_handlers() -> None:
    """Leave the exit handlers registered so far to the generation, which runs them when it ends.

    Run in every worker, a handler that removes what the import made (a temporary folder, a file with the pid) would
    take it from the other workers. What a worker registers itself, it runs. CPython's multiprocessing does it this way.
    """
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # noqa: SLF001  `atexit` is public, the list of them is not
        finalizer.atexit = False
    atexit._clear()  # noqa: SLF001  as multiprocessing's forked children do
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]  # noqa: SLF001  `finalize` registers itself once only
    atexit.register(logging.shutdown)
    processes, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if processes is not None and util is not None:
        # Its exit handler ends this process's children, among whom it would count those of the generation.
        processes._children.clear()  # noqa: SLF001  its own forked children set it anew
        atexit.register(util._exit_function)  # noqa: SLF001  as its own forked children do


def _usual_signals() -> None:
    """Give a process that the app forks (multiprocessing) the usual signals, not those of a worker.

    The event loop's would make it deaf to SIGTERM, and have what it is sent arrive in the worker's loop
    (https://github.com/python/cpython/issues/94454).
    """
    with suppress(ValueError):  # a sub-interpreter may not
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _nothing(_signal: int, _frame: FrameType | None) -> None:
    """Do nothing."""
