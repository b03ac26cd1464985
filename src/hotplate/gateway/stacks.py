"""What a request is doing right now, as a traceback shows it: of its thread, or of its coroutines."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import dropwhile, islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotplate.gateway.exchange import Exchange

_MOST_FRAMES = 60
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_STDLIB = sysconfig.get_path("stdlib")
_LEAD_ONLY = (
    _OURS,
    *(os.path.join(_STDLIB, name) for name in ("threading.py", "contextvars.py", "asyncio", "concurrent")),  # noqa: PTH118  # compared with co_filename, which is text
)
"""Files whose outermost frames only lead to the app."""


def stack_of(exchange: Exchange) -> str:
    """Return the stack of the app's code for `exchange`, innermost call last."""
    thread = exchange.thread
    if thread is not None:
        frame = sys._current_frames().get(thread)  # noqa: SLF001  # documented; threading offers nothing better
        if frame is not None and exchange.thread == thread:
            return _formatted(_outermost_first(frame))
    frames = list(islice(_awaited(exchange.coroutine), _MOST_FRAMES))
    if frames:
        return _formatted(frames)
    return "  (no thread had taken it yet)\n"


def _outermost_first(frame: FrameType) -> list[tuple[FrameType, int]]:
    frames = list(islice(traceback.walk_stack(frame), _MOST_FRAMES))
    return frames[::-1]


def _awaited(awaitable: object) -> Iterator[tuple[FrameType, int]]:
    """Follow a coroutine into what it awaits, and that into what it awaits, down to a future."""
    current: Any = awaitable
    while current is not None:
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(current, f"{prefix}_frame", None)
            if frame is not None:
                yield frame, frame.f_lineno
                current = getattr(current, "cr_await" if prefix == "cr" else f"{prefix}_yieldfrom", None)
                break
        else:
            return


def _formatted(frames: list[tuple[FrameType, int]]) -> str:
    theirs = dropwhile(lambda at: at[0].f_code.co_filename.startswith(_LEAD_ONLY), frames)
    return "".join(traceback.StackSummary.extract(iter(list(theirs) or frames)).format())
