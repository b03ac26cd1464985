"""Is the imported app safe to fork? What an import left behind that a forked child would miss or share.

Missed: threads (fork copies only the calling one, and locks that the others hold stay held for ever). Shared: sockets,
the queue of an event loop (epoll), an open SQLite file, whose locks a fork breaks (https://www.sqlite.org/howtocorrupt.html,
section 2.6). Told apart from what is there anyway by looking before and after the import.
"""

from __future__ import annotations

import gc
import os
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from hotplate.apps import frames
from hotplate.supervisor import descriptors

_SETTLE = 0.2  # seconds that threads told to end get for it
_OPENMP = ("libgomp", "libiomp", "libomp")


class Baseline(NamedTuple):
    """What the process had before the import: ids of threads, open descriptors."""

    threads: frozenset[int]
    descriptors: frozenset[descriptors.Descriptor]


def observe() -> Baseline:
    """Return what the process has now."""
    return Baseline(frozenset(_native_threads()), frozenset(descriptors.held()))


def findings(before: Baseline, started: dict[threading.Thread, str] | None = None) -> tuple[str, ...]:
    """Return what makes a fork unsafe, a phrase each; none if it is safe.

    Close idle database connections first. Garbage is collected here, so that a connection that was dropped without
    being closed does not count.

    Args:
        before: what was there before the import.
        started: where threads were started, from `recording_starts`.
    """
    gc.collect()
    _fork_for_trial()
    return (*_python_threads(started or {}), *_other_threads(before), *descriptors.described(before.descriptors))


@contextmanager
def recording_starts() -> Iterator[dict[threading.Thread, str]]:
    """Note where threads are started while the block runs."""
    places: dict[threading.Thread, str] = {}
    start = threading.Thread.start

    def noting(self: threading.Thread) -> None:
        places[self] = _callers_line()
        start(self)

    threading.Thread.start = noting  # type: ignore[method-assign]  # put back below
    try:
        yield places
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]  # the original


def _callers_line() -> str:
    """Return the user's line nearest to the call, else that of the library which made it."""
    calls = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_stack(None)]
    libraries = [call for call in calls if not frames.is_ours(call[0]) and not call[0].endswith("threading.py")]
    own = [call for call in libraries if frames.is_own(call[0])]
    filename, line = (own or libraries or calls)[0]
    return f"{Path(filename).name}:{line}"


def _python_threads(started: dict[threading.Thread, str]) -> list[str]:
    """Describe Python's own threads; one that has ended meanwhile is not alive and not meant."""
    return [
        f"a running thread {thread.name!r}" + (f", started at {started[thread]}" if thread in started else "")
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
    ]


def _other_threads(before: Baseline) -> list[str]:
    """Describe threads that Python did not start: those of Rust, C and Fortran libraries."""
    known = {thread.native_id for thread in threading.enumerate()} | before.threads | {threading.get_native_id()}
    deadline = time.monotonic() + _SETTLE
    while (strangers := _native_threads() - known) and time.monotonic() < deadline:
        time.sleep(0.005)
    names = Counter(name for name in map(_name, strangers) if name)
    openmp = next((library for library in _OPENMP if _is_loaded(library)), "")
    return [
        f"{count} native thread{'s' * (count > 1)} named {name!r}"
        + (f" (OpenMP's pool? {openmp} is loaded)" if openmp else "")
        for name, count in sorted(names.items())
    ]


def _fork_for_trial() -> None:
    """Fork a child that leaves at once, and so let libraries that know about fork end their threads.

    OpenBLAS does (pthread_atfork); it starts them anew at the next use, in every process for itself. A library that
    does not, such as OpenMP's, is found by its threads still running afterwards, without a list of libraries.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, which is what is asked here
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _native_threads() -> set[int]:
    with suppress(FileNotFoundError):
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}
    return {thread.id for thread in psutil.Process().threads()}


def _name(thread: int) -> str:
    try:
        return Path(f"/proc/self/task/{thread}/comm").read_text().strip()
    except OSError:
        return ""  # it has ended


def _is_loaded(library: str) -> bool:
    try:
        return library in Path("/proc/self/maps").read_text()
    except OSError:
        return False
