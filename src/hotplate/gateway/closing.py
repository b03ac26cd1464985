"""Which responses carry `Connection: close`: all of them while draining, the next few when connections are levelled."""

from __future__ import annotations


class Closing:
    """Asked once per HTTP/1 response, from several threads."""

    def __init__(self) -> None:
        self.is_draining = False
        self._tokens: list[None] = []

    def all(self) -> None:
        """Close every connection after its next response."""
        self.is_draining = True

    def next(self, count: int) -> None:
        """Close the next `count` connections that answer."""
        self._tokens = [None] * count

    def state(self) -> dict[str, object]:
        """What the health probe tells."""
        return {"status": "draining" if self.is_draining else "ok"}

    def __call__(self) -> bool:
        """Whether the response that is being started is to close its connection."""
        if self.is_draining:
            return True
        tokens = self._tokens
        if not tokens:
            return False
        try:
            tokens.pop()  # atomic, where a counter would not be
        except IndexError:
            return False
        return True
