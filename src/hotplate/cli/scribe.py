"""Writes lines from a thread of its own, and on a terminal what is being waited for.

A terminal that was stopped (Ctrl-S) or a log collector that hangs would otherwise stop the master, and with it the
replacing of workers. It writes to the descriptor, past Python's buffers, whose locks the interpreter needs to end.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
import time
from contextlib import suppress
from typing import Literal, NamedTuple, Self, TextIO

from hotplate.cli.ui import Look, clean

PATIENCE = 2.0  # seconds before a wait is worth a word
_STEP = 0.1  # seconds between two looks at the clock
_KEPT = 10_000  # lines while nobody takes them; what comes then is dropped, for memory has an end, too
_FAREWELL = 2.0  # seconds to get the last lines out
_COLUMNS = 80  # of a terminal that does not tell
_ERASE = "\r\x1b[K"


class _Item(NamedTuple):
    kind: Literal["line", "waiting", "end"]
    text: str = ""


class Scribe:
    """Writes to one stream until it is closed.

    Args:
        out: where to; its descriptor is used.
        look: whether it is a terminal that shows what is waited for.

    Example:
        with Scribe(sys.stderr, look) as scribe:
            scribe.waiting("Importing shop:app")
            scribe.line("Imported")
    """

    def __init__(self, out: TextIO, look: Look) -> None:
        self._look = look
        self._encoding = out.encoding or "utf-8"
        out.flush()
        self._descriptor = out.fileno()
        self._items: queue.Queue[_Item] = queue.Queue(_KEPT)
        self._thread = threading.Thread(target=self._work, name="scribe", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def line(self, text: str) -> None:
        """Write a line, soon; it may be several, and in colours already."""
        self._put(_Item("line", text))

    def waiting(self, text: str) -> None:
        """Show, when it takes long, what is waited for; "" when it is over."""
        if self._look.terminal:
            self._put(_Item("waiting", text))

    def close(self) -> None:
        """Write what is left, unless nobody takes it."""
        self._put(_Item("end"))
        self._thread.join(_FAREWELL)

    def _put(self, item: _Item) -> None:
        with suppress(queue.Full):
            self._items.put_nowait(item)

    def _work(self) -> None:
        # In the background of a terminal with `stty tostop`, writing would signal SIGTTOU again and again, which means
        # "one worker less" to the master; where it is blocked, the terminal takes what is written: termios(3).
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        waiting, since, drawn = "", 0.0, ""
        while True:
            item = self._next(_STEP if waiting else None)
            elapsed = time.monotonic() - since
            if item is None:
                progress = self._fitting(f"{waiting} ... {int(elapsed)} s")
                if elapsed >= PATIENCE and progress != drawn:
                    drawn = progress
                    self._write(f"{_ERASE}{progress}\r")  # what the app prints meanwhile begins at the line's start
                continue
            if drawn:
                drawn = ""
                self._write(_ERASE)
            if item.kind == "end":
                return
            if item.kind == "line":
                self._write(item.text + "\n")
            else:
                waiting, since = item.text, time.monotonic()

    def _next(self, within: float | None) -> _Item | None:
        try:
            return self._items.get(timeout=within)
        except queue.Empty:
            return None

    def _write(self, text: str) -> None:
        left = memoryview(text.encode(self._encoding, "backslashreplace"))
        with suppress(OSError):  # the reader has gone; that is no reason to stop serving
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # another process that has it, too, made it so
                    select.select([], [self._descriptor], [])

    def _fitting(self, text: str) -> str:
        """Return as much as one line holds: what wraps cannot be taken back."""
        columns = 0
        with suppress(OSError):
            columns = os.get_terminal_size(self._descriptor).columns
        return clean(text)[: (columns or _COLUMNS) - 1]
