"""The Cache-Status field (RFC 9211): what the cache did with a request, in its answer. The key is never told."""

from __future__ import annotations

import functools
import re
from typing import Literal

Why = Literal["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"]
"""Why a request went to the app (RFC 9211, section 2.2)."""

_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_NOT_A_STRING = re.compile(r"[^ -~]")
_LONGEST = 200  # of a detail, in characters


def hit(ttl: int, detail: str = "") -> bytes:
    """Return the value for an answer from the cache.

    Args:
        ttl: seconds for which it is still fresh; negative where it is stale (RFC 9211, section 2.4).
        detail: further words for people.

    Example:
        >>> hit(30), hit(-5, "STALE-WHILE-REVALIDATE")
        (b'hotplate; hit; ttl=30', b'hotplate; hit; ttl=-5; detail=STALE-WHILE-REVALIDATE')
    """
    return b"hotplate; hit; ttl=%d%b" % (ttl, _detail(detail))


@functools.lru_cache(maxsize=512)
def forwarded(why: Why, *, status: int = 0, stored: bool = False, collapsed: bool = False, detail: str = "") -> bytes:
    """Return the value for an answer that the app gave.

    Args:
        why: it was asked.
        status: of its answer, where that is not the one passed on (RFC 9211, section 2.3); 0 otherwise.
        stored: whether its answer was kept.
        collapsed: whether this request waited for another one's answer.
        detail: further words for people, such as why the answer was not kept.

    Example:
        >>> forwarded("uri-miss", stored=True)
        b'hotplate; fwd=uri-miss; stored'
        >>> forwarded("bypass", detail="the request has a cookie")
        b'hotplate; fwd=bypass; detail="the request has a cookie"'
    """
    value = b"hotplate; fwd=" + why.encode()
    if status:
        value += b"; fwd-status=%d" % status
    if stored:
        value += b"; stored"
    if collapsed:
        value += b"; collapsed"
    return value + _detail(detail)


@functools.lru_cache(maxsize=512)
def _detail(text: str) -> bytes:
    """Return the parameter, as a token or string of RFC 9651; what neither can hold is replaced."""
    if not text:
        return b""
    plain = _NOT_A_STRING.sub("?", text[:_LONGEST])
    if not _TOKEN.fullmatch(plain):
        plain = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return b"; detail=" + plain.encode("ascii")
