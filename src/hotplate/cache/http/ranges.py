"""Which parts of a body a Range field asks for (RFC 9110, section 14), and several of them in one body.

A range costs its asker a few bytes and the server a part with fields of its own: 1,300 overlapping ones in a request
brought Apache down (CVE-2011-3192). So few are answered, and many are not even read: the whole body is always a right
answer (section 14.2).
"""

from __future__ import annotations

import re
import secrets

MOST = 8  # parts in an answer
_MOST_ASKED = 64
_LONGEST = 1024  # bytes of the field
_UNIT = re.compile(rb"[ \t]*bytes=", re.IGNORECASE)
_SPEC = re.compile(rb"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))?[ \t]*")

Span = tuple[int, int]


def spans(value: bytes, length: int) -> list[Span] | None:
    """Return the (start, stop) of each part asked for, overlapping and adjoining ones made one, in the order asked for.

    An empty list means that none of them exists (416). None means that the field is to be ignored: another unit, not
    well formed, too many, or nothing there to take a part of.

    Args:
        value: of the Range field.
        length: of the body, in bytes.

    Example:
        >>> spans(b"bytes=0-4, -2", 10), spans(b"bytes=10-", 10), spans(b"lines=1-2", 10)
        ([(0, 5), (8, 10)], [], None)
    """
    unit = _UNIT.match(value)
    if not unit or not length or len(value) > _LONGEST or value.count(b",") >= _MOST_ASKED:
        return None
    asked: list[Span] = []
    any_seen = False
    for text in value[unit.end() :].split(b","):
        spec = _SPEC.fullmatch(text)
        if not spec:
            return None
        first, last, suffix = spec.groups()
        if suffix is not None:
            start, stop = max(0, length - int(suffix)), length
        elif first is not None:
            start, stop = int(first), min(length, int(last) + 1) if last else length
            if last and int(last) < start:
                return None
        else:
            continue  # an empty element, which a list may have (section 5.6.1)
        any_seen = True
        if start < stop:
            asked.append((start, stop))
    if not any_seen:
        return None
    together = _joined(asked)
    return together if len(together) <= MOST else None


def _joined(asked: list[Span]) -> list[Span]:
    if len(asked) < 2:
        return asked
    groups: list[tuple[int, int, int]] = []  # place in the request of its first member, start, stop
    for start, stop, place in sorted((start, stop, place) for place, (start, stop) in enumerate(asked)):
        if groups and start <= groups[-1][2]:
            earlier, begin, end = groups[-1]
            groups[-1] = (min(earlier, place), begin, max(end, stop))
        else:
            groups.append((place, start, stop))
    return [(start, stop) for _, start, stop in sorted(groups)]


def multipart(body: bytes, parts: list[Span], media_type: bytes) -> tuple[bytes, bytes]:
    """Return the Content-Type and the body that hold several parts (RFC 9110, section 15.3.7.2).

    Args:
        body: the whole.
        parts: what to take of it.
        media_type: value of its Content-Type; empty where it has none.
    """
    boundary = secrets.token_hex(16).encode()
    typed = b"content-type: %b\r\n" % media_type if media_type else b""
    pieces: list[bytes] = []
    for start, stop in parts:
        pieces += (
            b"\r\n--%b\r\n%bcontent-range: %b\r\n\r\n" % (boundary, typed, content_range(start, stop, len(body))),
            body[start:stop],
        )
    pieces.append(b"\r\n--%b--\r\n" % boundary)
    return b"multipart/byteranges; boundary=" + boundary, b"".join(pieces)


def content_range(start: int, stop: int, length: int) -> bytes:
    """Return the value of Content-Range for one part.

    Example:
        >>> content_range(0, 5, 10)
        b'bytes 0-4/10'
    """
    return b"bytes %d-%d/%d" % (start, stop - 1, length)
