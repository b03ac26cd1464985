"""What happens to open files of the broker when the process forks.

SQLite keeps what it has locked in the process's memory. A child that opens the file while it has that memory of its
parent believes it holds locks that it does not, and can then damage the file (https://sqlite.org/howtocorrupt.html,
"Carrying an open database file across a fork"). So idle connections are closed before every fork and open again when
they are next used, on both sides. A connection that could not be closed (its thread did not let go in time) is kept for
ever in the child, unused: closing it there would be just as wrong.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something with a connection that must not cross a fork."""

    def before_fork(self) -> None:
        """Let nobody begin anything, and close what is open."""

    def after_fork_in_parent(self) -> None:
        """Let them go on."""

    def after_fork_in_child(self) -> None:
        """Start anew."""


_ALL: weakref.WeakSet[Forkable] = weakref.WeakSet()
_HELD: dict[int, list[Forkable]] = {}  # by thread: two may fork at once


def watch(thing: Forkable) -> None:
    """Tell `thing` of every fork from now on."""
    _ALL.add(thing)


def _before() -> None:
    _HELD[threading.get_ident()] = held = list(_ALL)
    for thing in held:
        thing.before_fork()


def _in_parent() -> None:
    for thing in _HELD.pop(threading.get_ident(), ()):
        thing.after_fork_in_parent()


def _in_child() -> None:
    _HELD.clear()
    for thing in list(_ALL):
        thing.after_fork_in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
