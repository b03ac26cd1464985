"""What is remembered of responses that could not be kept: "hit-for-miss", as Varnish calls it.

Requests for a page that turned out to be nobody else's business must not queue behind each other to learn it again. Nor
may each distinct URL of a page with a query be looked for, leased and refused: after some refusals in a row the path as
a whole is known for it. A marker costs its requests one look into a dict, and only ever makes them go to the app.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

SECONDS = 120.0  # Varnish's default (`sub vcl_backend_response`, beresp.ttl of hit-for-miss)
SECONDS_OF_AN_ERROR = 1.0  # what failed just now may work now
_MOST = 8192  # about 250 bytes each
_IN_A_ROW = 16
_LOOK_EVERY = 1.0  # seconds between two requests that look whether what is marked can be kept after all


class Marker:
    """Why and for how long something is not asked for in the cache.

    Args:
        until: monotonic seconds.
        again: monotonic seconds at which one request looks whether it is still so.
        why: in words.
    """

    __slots__ = ("again", "until", "why")

    def __init__(self, until: float, again: float, why: str) -> None:
        self.until = until
        self.again = again
        self.why = why


class Markers:
    """The markers of one worker; reading takes no lock.

    Args:
        clock: monotonic seconds.
        most: how many are kept; the oldest go first.

    Attributes:
        has_paths: whether any path as a whole has ever been marked.

    Example:
        >>> markers = Markers(lambda: 0.0)
        >>> markers.refused(b"key", b"/path", "private", 120.0)
        >>> markers.find(b"key")
        'private'
    """

    def __init__(self, clock: Callable[[], float], most: int = _MOST) -> None:
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._markers: dict[bytes, Marker] = {}
        self._in_a_row: dict[bytes, int] = {}
        self.has_paths = False

    def find(self, key: bytes) -> str:
        """Return why `key` is not to be asked for; empty where it may be."""
        marker = self._markers.get(key)
        if marker is None:
            return ""
        if marker.until > self._clock():
            return marker.why
        self._markers.pop(key, None)
        return ""

    def skips(self, key: bytes) -> bool:
        """Whether a request is to go to the app at once; now and then one looks whether that is still so."""
        marker = self._markers.get(key)
        if marker is None:
            return False
        now = self._clock()
        if marker.again > now:
            return True
        if marker.until <= now:
            self._markers.pop(key, None)
        marker.again = now + _LOOK_EVERY
        return False

    def refused(self, key: bytes, path: bytes, why: str, seconds: float) -> None:
        """Note that the response for `key` could not be kept.

        Args:
            key: of the request.
            path: what requests like it have in common.
            why: in words.
            seconds: for how long this is remembered.
        """
        with self._lock:
            self._add(key, why, seconds)
            if seconds < SECONDS:
                return
            count = self._in_a_row.pop(path, 0) + 1
            if count >= _IN_A_ROW:
                self._add(path, why, seconds)
                self.has_paths = True
            else:
                self._in_a_row[path] = count
                if len(self._in_a_row) > self._most:
                    del self._in_a_row[next(iter(self._in_a_row))]

    def kept(self, key: bytes, path: bytes) -> None:
        """Note that a response was kept: what was known before is no longer true."""
        with self._lock:
            for known in (key, path):
                self._markers.pop(known, None)
            self._in_a_row.pop(path, None)

    def _add(self, key: bytes, why: str, seconds: float) -> None:
        now = self._clock()
        self._markers.pop(key, None)  # the newest stand last
        self._markers[key] = Marker(now + seconds, now + min(seconds, _LOOK_EVERY), why)
        if len(self._markers) > self._most:
            del self._markers[next(iter(self._markers))]
