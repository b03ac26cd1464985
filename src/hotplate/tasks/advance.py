"""How far a task is, told from inside it: kept beside its state, so that a status page can show it.

Telling costs a write to where results are kept. A loop that tells after each of a million rows would do nothing else,
so of more than ten per second most are left out, but never the last.
"""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import NamedTuple

from celery import current_task

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks.untyped import Result, Value

STATE = "PROGRESS"  # Celery's documentation uses this name for states of one's own
PER_SECOND, AT_ONCE = 10, 10  # told on average, and in a row before that counts
_SILENT = 30.0  # seconds without a word after one could not be kept: storing may have taken as long
_LONGEST = 500  # characters of a message

_log = logging.getLogger("hotplate.tasks")


class Progress(NamedTuple):
    """How far a task is.

    Args:
        done: steps, or bytes, or whatever is counted.
        total: of them; None if it is not known.
        message: for whoever waits.
    """

    done: float
    total: float | None
    message: str

    @property
    def percent(self) -> float | None:
        """Return the share that is done, 0 to 100; None if the total is not known.

        Example:
            >>> Progress(3, 4, "").percent
            75.0
        """
        if self.total is None:
            return None
        return 100.0 if self.total <= 0 else round(min(max(self.done / self.total, 0), 1) * 100, 1)


class Bucket:
    """Lets through so many in a row, and so many a second after that.

    Args:
        burst: in a row.
        rate: per second.
    """

    def __init__(self, burst: float = AT_ONCE, rate: float = PER_SECOND) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._at = burst, 0.0
        self._key: object = None

    def takes(self, key: object, now: float) -> bool:
        """Whether one more may pass.

        Args:
            key: of whom; somebody else begins anew.
            now: seconds of a clock that never goes back.
        """
        if key != self._key:
            self._key, self._left = key, self._burst
        else:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


_bucket, _lock = Bucket(), Lock()
_silent_until = 0.0


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Tell how far the task is that is running; does nothing where none is, so that its function can be called as one.

    It never fails the task: where it cannot be kept, the log says so once in a while.

    Args:
        done: steps so far, in any unit.
        total: of them, in the same unit; None if it is not known.
        message: for whoever waits, at most 500 characters; it is shown to them, so no secrets.

    Raises:
        HotplateError: USAGE; `done` or `total` is not a number.

    Example:
        >>> progress(120, 4000, "Sending to ada@example.org")
    """
    for name, value in (("done", done), ("total", total)):
        if (value is not None or name == "done") and not _is_number(value):
            raise HotplateError(
                f"tell the progress of a task with {name}={value!r}",
                "it is not a number",
                "Write hotplate.tasks.progress(3, 10, 'Step 3').",
                code=ExitCode.USAGE,
            )
    task = current_task
    request = task.request if task else None
    if request is None or not request.id or request.is_eager or request.called_directly:
        return
    last = total is not None and done >= total
    with _lock:
        if not _bucket.takes(request.id, time.monotonic()) and not last:
            return
    _keep(task, Progress(done, total, str(message)[:_LONGEST]))


def read(kept: Value) -> Progress | None:
    """Return what `progress` kept; None if it is something else.

    Args:
        kept: the meta of a state.
    """
    if not isinstance(kept, dict) or not _is_number(kept.get("done")):
        return None
    total = kept.get("total")
    return Progress(kept["done"], total if _is_number(total) else None, str(kept.get("message") or "")[:_LONGEST])


def _keep(task: Result, told: Progress) -> None:
    global _silent_until  # noqa: PLW0603  # one per process, as the connection to the results is
    if time.monotonic() < _silent_until:
        return
    try:
        task.update_state(state=STATE, meta=told._asdict())
    except Exception as problem:  # noqa: BLE001  # each backend raises its own; none of them is worth the task
        _silent_until = time.monotonic() + _SILENT
        _log.warning("Cannot keep the progress of %s: %s. The task goes on.", task.name, type(problem).__name__)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) < 1e300  # noqa: PLR0124  # NaN
