"""Bounds what one URL may take in the cache by way of Vary: whoever invents request fields pushes out only his own."""

from __future__ import annotations

from threading import Lock

MOST_VARIANTS = 32  # of one URL; real sites have languages, codings and devices, some ten in all
_MOST_URLS = 4096  # that are watched; a kilobyte each at the most


class Fanout:
    """Knows which variants of a URL this worker has stored, oldest first.

    Args:
        most: variants of one URL.
        urls: that are watched; the one that was stored longest ago is forgotten.

    Example:
        >>> fanout = Fanout(most=2)
        >>> [fanout.add(b"url", variant) for variant in (b"1", b"2", b"1", b"3")]
        [None, None, None, b'2']
    """

    def __init__(self, most: int = MOST_VARIANTS, urls: int = _MOST_URLS) -> None:
        self._most = most
        self._urls = urls
        self._lock = Lock()
        self._variants: dict[bytes, dict[bytes, None]] = {}

    def add(self, url: bytes, variant: bytes) -> bytes | None:
        """Note that `variant` of `url` has been stored; returns the one that has to go for it."""
        with self._lock:
            variants = self._variants.pop(url, {})
            self._variants[url] = variants  # what was stored last stands last
            variants.pop(variant, None)
            variants[variant] = None
            if len(self._variants) > self._urls:
                del self._variants[next(iter(self._variants))]
            if len(variants) <= self._most:
                return None
            oldest = next(iter(variants))
            del variants[oldest]
            return oldest
