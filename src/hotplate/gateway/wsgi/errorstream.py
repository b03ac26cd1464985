"""`wsgi.errors`: where apps and frameworks write what went wrong."""

from __future__ import annotations

import io
import sys


class ErrorStream(io.TextIOBase):
    """Passes text to standard error, whatever that is at the time; one for all requests, so closing it does nothing.

    Example:
        >>> ErrorStream().write("")
        0
    """

    def write(self, text: str, /) -> int:
        """Write `text` in one piece, so that threads do not write into each other's lines."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        # None under pythonw and some services.
        if text and sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def close(self) -> None:
        """Do nothing: it is not this request's to close."""
