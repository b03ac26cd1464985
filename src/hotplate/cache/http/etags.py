"""Entity tags (RFC 9110, section 8.8.3), and the suffix that tells the codings of one response apart.

Two codings of a response differ in their bytes, so they may not share a strong tag; a weak one says no more than that
they mean the same, which they do. What the app sent as `"x"` leaves as `"x;br"` in brotli, and is `"x"` again when the
client asks for it: the app never sees a suffix. The first to compress in front of an app without taking the suffix off
again lost every 304 by it (colour-science/flask-compress, issues 15, 24 and 65).
"""

from __future__ import annotations

import re

CODINGS = (b"zstd", b"br", b"gzip")  # what we apply; their IANA names, lower case

_SUFFIX = re.compile(rb';(zstd|br|gzip)"')  # no entity tag holds a quote, so this is the end of one
_TAG = re.compile(rb'(?:[Ww]/)?"[^"]*"|[^\s,"]+')  # the second form is none, but servers have sent it for decades
_LONGEST = 8192  # of a list that is read; beyond it, nothing matches


def suffixed(etag: bytes, coding: bytes) -> bytes:
    """Return the tag of a response in `coding`; weak and malformed ones stay as they are.

    Example:
        >>> suffixed(b'"x"', b"br"), suffixed(b'W/"x"', b"br")
        (b'"x;br"', b'W/"x"')
    """
    if coding and len(etag) > 1 and etag.startswith(b'"') and etag.endswith(b'"'):
        return b'%b;%b"' % (etag[:-1], coding)
    return etag


def stripped(value: bytes) -> bytes:
    """Return a list of tags, such as that of If-None-Match, without suffixes.

    Example:
        >>> stripped(b'"x;br", W/"y", "z"')
        b'"x", W/"y", "z"'
    """
    return _SUFFIX.sub(b'"', value) if b";" in value else value


def held(value: bytes, etag: bytes) -> bytes | None:
    """Return the first tag of a list that means the response with `etag`, in the form the client holds; None for none.

    The comparison is weak (RFC 9110, section 8.8.3.2) and does not look at suffixes: whichever coding the client has,
    it is told that it is still good.

    Args:
        value: of If-None-Match.
        etag: as the app sent it; empty for none, which only `*` matches.

    Example:
        >>> held(b'"y", "x;br"', b'"x"'), held(b'W/"x"', b'"x"'), held(b'"y"', b'"x"')
        (b'"x;br"', b'"x"', None)
    """
    if value.strip(b" \t") == b"*":
        return etag
    opaque = _opaque(etag)
    if not etag or len(value) > _LONGEST or opaque[:-1] not in value:
        return None
    for tag in _TAG.findall(value):
        if _opaque(tag) == opaque:
            return etag
        suffix = _SUFFIX.search(tag)
        if suffix and _opaque(tag[: suffix.start()] + b'"') == opaque:
            return suffixed(etag, suffix[1])
    return None


def same(one: bytes, other: bytes) -> bool:
    """Whether two tags are the same by the strong comparison (RFC 9110, section 8.8.3.2).

    Example:
        >>> same(b'"x"', b'"x"'), same(b'W/"x"', b'W/"x"')
        (True, False)
    """
    return one == other and len(one) > 1 and one.startswith(b'"') and one.endswith(b'"')


def _opaque(tag: bytes) -> bytes:
    return tag[2:] if tag[:2] in {b"W/", b"w/"} else tag
