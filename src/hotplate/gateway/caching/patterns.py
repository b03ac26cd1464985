"""Which requests are of one route, told by their paths alone: frameworks name routes differently, and some not at all.

What looks like an identifier is a `*`; so are the names under one place when they become many. What comes of it can be
written into `cache_routes` as it is.
"""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(
    rb"[0-9]+|[0-9a-f]{8,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9]+-.*|.*[0-9]{4,}.*|.{40,}",
    re.DOTALL,
)
_MOST_NAMES = 12  # under one place, before they count as identifiers
_MOST_PLACES = 512
_MOST_SEGMENTS = 8
_STAR = b"*"


class Patterns:
    """The patterns of one worker's routes.

    Example:
        >>> patterns = Patterns()
        >>> patterns.of(b"/articles/17/comments")
        '/articles/*/comments'
    """

    def __init__(self) -> None:
        self._names: dict[tuple[bytes, ...], set[bytes]] = {}

    def of(self, path: bytes) -> str:
        """Return the pattern of a path, as it was sent.

        Args:
            path: percent-encoded.
        """
        place: tuple[bytes, ...] = ()
        segments = path.split(b"/")[1:]
        for segment in segments[:_MOST_SEGMENTS]:
            place += (segment if self._is_name(place, segment) else _STAR,)
        if len(segments) > _MOST_SEGMENTS:
            place += (_STAR,)
        return "/" + b"/".join(place).decode("latin-1")

    def _is_name(self, place: tuple[bytes, ...], segment: bytes) -> bool:
        if not segment:
            return True
        if _IDENTIFIER.fullmatch(segment):
            return False
        names = self._names.get(place)
        if names is None:
            if len(self._names) >= _MOST_PLACES:
                return False
            names = self._names[place] = set()
        if len(names) < _MOST_NAMES:
            names.add(segment)
        return segment in names
