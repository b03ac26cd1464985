"""How lines of Hotplate's own loggers look in generations and workers: as the master's events do."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import msgspec


class _Lines(logging.Formatter):
    """Time, level, message; then the traceback, if there is one. Or all of it as one JSON object."""

    def __init__(self, form: Literal["text", "json"]) -> None:
        super().__init__()
        self._json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        detail = self.formatException(record.exc_info) if record.exc_info else ""
        if self._json:
            fields = {"time": time, "level": record.levelname.lower(), "event": record.name}
            return msgspec.json.encode({**fields, "message": record.getMessage(), "detail": detail}).decode()
        word = f"{record.levelname.capitalize()}: " if record.levelno > logging.INFO else ""
        line = f"{time} {word}{record.getMessage()}"
        return f"{line}\n{detail}" if detail else line


def configure(form: Literal["text", "json"]) -> None:
    """Have Hotplate's loggers write to stderr; what the app does with its own and the root logger stays its affair.

    Args:
        form: the setting `log_format`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(form))
    ours = logging.getLogger("hotplate")
    ours.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False
