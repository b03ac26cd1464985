"""The processes that run tasks: forked from the warm main process, which they never outlive."""

from __future__ import annotations

import ctypes
import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from billiard import current_process, pool
from celery import signals
from kombu import pools
from setproctitle import setproctitle

from hotplate.tasks.worker import memory

_log = logging.getLogger("hotplate.tasks")

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def prepare(limit: int, in_child: Callable[[], None]) -> None:
    """Say, in the main process and before it forks, what every child does first.

    Args:
        limit: bytes of private memory after which a child is replaced; 0 for no limit.
        in_child: renews or closes what belongs to the main process.
    """
    main, library = os.getpid(), _library()

    def begin(**_: object) -> None:
        if os.getpid() == main:  # the solo pool, which runs tasks in the main process, sends the signal as well
            return
        # First of all: what comes next could take long, and the main process could be killed meanwhile.
        end_with(main, library)
        gc.freeze()
        setproctitle(f"hotplate: task {getattr(current_process(), 'index', 0) + 1}")
        for stream in (sys.stdout, sys.stderr):
            # What a task prints is read while it runs; Celery would make log lines of it.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        in_child()
        batch()

    # Celery counts the memory that a child shares with its parent, the app and its models, as the child's own, and the
    # highest it ever was: with a large app every child would be replaced after every task.
    pool.mem_rss = memory.Private(limit).kilobytes
    signals.worker_process_init.connect(begin, weak=False, dispatch_uid="hotplate")
    signals.worker_before_create_process.connect(hang_up, weak=False, dispatch_uid="hotplate")


def hang_up(**_: object) -> None:
    """Close the connections by which the main process publishes, before it forks; they are opened again when needed.

    Kombu closes them in whatever process is forked, and with AMQP that shuts down the parent's own socket: what the
    parent was publishing went out twice.
    """
    for connections in pools.connections.values():
        if connections.limit:
            connections.resize(connections.limit, reset=True)


def freeze() -> None:
    """Take what is loaded out of the garbage collector's sight, whose marks would copy every page of it in each child.

    As Instagram did (https://instagram-engineering.com/dismissing-python-garbage-collection-at-instagram-4dca40b29172);
    children forked later, too, share what was frozen once.
    """
    gc.collect()
    gc.freeze()


def end_with(parent: int, library: ctypes.CDLL | None) -> None:
    """Have the kernel kill this process when its parent dies, which it may have done already (prctl(2), Linux).

    Args:
        parent: the parent's process id.
        library: the C library, loaded before the fork; None where there is no such call.
    """
    if library is None:
        return
    library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


def yield_to_others(nice: int) -> None:
    """Let everybody else go first when cores are scarce; children inherit it.

    Args:
        nice: added to the niceness; as far as it goes (setpriority(2)).
    """
    try:
        os.nice(nice)
    except OSError as error:  # a negative number asks for a privilege
        _log.warning("Cannot change the niceness of tasks by %d: %s", nice, error.strerror)


def batch() -> None:
    """Tell the scheduler that nobody waits for this process: it wakes up without driving others off their core."""
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
