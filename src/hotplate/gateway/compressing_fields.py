"""What a response's fields say about compressing it, and what becomes of them; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hotplate.cache.http.answer import merged_vary
from hotplate.cache.http.etags import suffixed
from hotplate.compression.types import is_compressible, is_event_stream

Fields = list[tuple[bytes, bytes]]

_VARY = (b"vary", b"Accept-Encoding")
_TELLING = frozenset({b"cache-control", b"content-encoding", b"content-length", b"content-range", b"content-type"})
_BODILESS = frozenset({204, 205, 206, 304})
# They describe the plain bytes: their length, their digests, and that parts of them can be had.
_OF_THE_PLAIN = frozenset({
    b"accept-ranges", b"content-digest", b"content-length", b"content-md5", b"digest", b"repr-digest",
})  # fmt: skip


class Facts(NamedTuple):
    """What matters of a response that may be compressed.

    Args:
        length: declared, in bytes; -1 for none.
        is_event_stream: whether it is server-sent events.
    """

    length: int
    is_event_stream: bool


def look(status: int, fields: Fields) -> Facts | None:
    """Return the facts of a response that may be compressed, None for others.

    Args:
        status: its code.
        fields: of the response.

    Example:
        >>> look(200, [(b"content-type", b"text/html"), (b"content-length", b"9")])
        Facts(length=9, is_event_stream=False)
        >>> look(200, [(b"content-type", b"image/png")])
    """
    if status < 200 or status in _BODILESS:
        return None
    length = -1
    content_type = b""
    for field_name, value in fields:
        name = field_name.lower()
        if name not in _TELLING:
            continue
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else -1
        elif name == b"cache-control":
            if b"no-transform" in value.lower():  # RFC 9111, section 5.2.2.6
                return None
        elif value.strip().lower() != b"identity":
            return None
    return Facts(length, is_event_stream(content_type)) if is_compressible(content_type) else None


def varied(fields: Fields) -> Fields:
    """Return the fields with Accept-Encoding in Vary (RFC 9110, section 12.5.5)."""
    kept = [field for field in fields if field[0].lower() != b"vary"]
    kept.append(_merged(fields) if len(kept) < len(fields) else _VARY)
    return kept


def _merged(fields: Fields) -> tuple[bytes, bytes]:
    return b"vary", merged_vary([(name.lower(), value) for name, value in fields])


def in_coding(fields: Fields, coding: bytes, length: int | None) -> Fields:
    """Return the fields of a response that is sent in a coding.

    Args:
        fields: of the plain one.
        coding: its name.
        length: of the coded body, None where it is not known yet.
    """
    kept: Fields = []
    vary = _VARY
    for field in fields:
        name = field[0].lower()
        if name in _OF_THE_PLAIN or name == b"content-encoding":  # `identity`, see `look`
            continue
        if name == b"vary":
            vary = _merged(fields)
        elif name == b"etag":
            kept.append((name, suffixed(field[1], coding)))
        else:
            kept.append(field)
    kept += ((b"content-encoding", coding), vary)
    if length is not None:
        kept.append((b"content-length", b"%d" % length))
    return kept


def with_tag(fields: Fields, known: Callable[[bytes], bytes | None]) -> Fields:
    """Return the fields of a 304 with its tag as the client knows it (RFC 9110, section 15.4.5).

    Args:
        fields: as the app sent them.
        known: gives the tag in the form the client holds, None where it does not hold it.
    """
    return [
        (name, known(value) or value) if name.lower() == b"etag" else (name, value) for name, value in varied(fields)
    ]
