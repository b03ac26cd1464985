"""What a stored response answers to a request: whole, 304, a part of it, or 416. No I/O, no decision whether it may.

Everything that is the same for all requests is made once, by `prepare`. A plain hit then takes a list of fields, adds
Age and Cache-Status, and passes the body on by reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotplate.cache.entry import Entry, Fields
from hotplate.cache.http import conditional, dates, ranges, status
from hotplate.cache.http.conditional import Conditions, conditions
from hotplate.cache.http.etags import suffixed

__all__ = ["Answer", "Conditions", "Prepared", "answer", "conditions", "prepare"]

Answer = tuple[int, Fields, bytes]
"""Status, fields and body."""

_MOST_AGE = 2**31  # RFC 9111, section 1.2.2
_BODILESS = frozenset({204, 205, 304})
_MADE_HERE = frozenset({b"age", b"content-length", b"transfer-encoding", b"connection"})
# They describe bytes that another coding, or a part of the body, does not have.
_OF_THE_BYTES = frozenset({b"content-md5", b"digest", b"content-digest", b"repr-digest"})
_NOT_IN_A_CODING = _OF_THE_BYTES | {b"accept-ranges", b"etag", b"vary"}
_NOT_IN_A_PART = frozenset({b"content-length", b"content-md5", b"content-digest"})
# Representation metadata has no place in a 304, as the client has it (RFC 9110, section 15.4.5).
_NOT_IN_A_304 = _OF_THE_BYTES | {
    b"accept-ranges",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-length",
    b"content-range",
    b"content-type",
    b"etag",
}
_LINE_ENDS = (b"\r", b"\n", b"\0")


class Shape:
    """One form of a stored response, ready to be sent.

    Args:
        fields: all but Age and Cache-Status.
        body: of that form.
    """

    __slots__ = ("body", "fields")

    def __init__(self, fields: Fields, body: bytes) -> None:
        self.fields = fields
        self.body = body


class Prepared:
    """A stored response, ready to be sent; made by `prepare`, used by all threads.

    Attributes:
        entry: as stored.
        plain: without a coding of ours.
        coded: by the name of the coding.
    """

    __slots__ = ("_aged", "coded", "entry", "plain")

    def __init__(self, entry: Entry, plain: Shape, coded: dict[bytes, Shape]) -> None:
        self.entry = entry
        self.plain = plain
        self.coded = coded
        self._aged = (-1, (b"age", b""), (b"cache-status", b""))

    def age(self, now: float) -> int:
        """Return its age in whole seconds (RFC 9111, section 4.2.3); a clock that was set back makes it no younger."""
        entry = self.entry
        elapsed = now - entry.received
        age = entry.age + elapsed if elapsed > 0 else entry.age
        return int(age) if 0 <= age < _MOST_AGE else _MOST_AGE

    def hit_fields(self, now: float) -> tuple[int, tuple[bytes, bytes], tuple[bytes, bytes]]:
        """Return its age, and Age and Cache-Status of a plain hit; they change once a second."""
        age = self.age(now)
        aged = self._aged
        if aged[0] != age:
            lifetime = self.entry.lifetime
            ttl = (int(lifetime) if 0 <= lifetime < _MOST_AGE else _MOST_AGE) - age
            self._aged = aged = (age, (b"age", b"%d" % age), (b"cache-status", status.hit(ttl)))
        return aged


def prepare(entry: Entry, variants: Mapping[bytes, bytes] | None = None) -> Prepared:
    """Return `entry` ready to be sent; made once, when it comes into memory.

    Args:
        entry: with the app's own body.
        variants: the body in each coding that is stored of it, by the coding's name.

    Example:
        >>> prepare(Entry(b"key", 200, ((b"etag", b'"x"'),), b"hello", etag=b'"x"')).plain.fields[-1]
        (b'content-length', b'5')
    """
    fields = [field for field in entry.fields if field[0] not in _MADE_HERE and _is_safe(*field)]
    if not any(name == b"date" for name, _ in fields):  # RFC 9110, section 6.6.1
        fields.append((b"date", _date(entry.date or entry.received)))
    if entry.status in _BODILESS:
        return Prepared(entry, Shape(fields, b""), {})
    if not variants:
        return Prepared(entry, Shape([*fields, _length(entry.body)], entry.body), {})
    vary = (b"vary", merged_vary(fields))
    plain = [*(field for field in fields if field[0] != b"vary"), vary]
    coded = {coding: _in_coding(fields, vary, entry.etag, coding, body) for coding, body in variants.items()}
    return Prepared(entry, Shape([*plain, _length(entry.body)], entry.body), coded)


def _in_coding(fields: Fields, vary: tuple[bytes, bytes], etag: bytes, coding: bytes, body: bytes) -> Shape:
    kept = [field for field in fields if field[0] not in _NOT_IN_A_CODING]
    if etag:
        kept.append((b"etag", suffixed(etag, coding)))
    return Shape([*kept, vary, (b"content-encoding", coding), _length(body)], body)


def _is_safe(name: bytes, value: bytes) -> bool:
    return not any(end in value or end in name for end in _LINE_ENDS)


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)


def merged_vary(fields: Fields) -> bytes:
    """Return the value of Vary with Accept-Encoding in it.

    Example:
        >>> merged_vary([(b"vary", b"Cookie"), (b"vary", b"accept-encoding")])
        b'Cookie, accept-encoding'
    """
    value = b", ".join(value for name, value in fields if name == b"vary" and value.strip())
    names = [name.strip().lower() for name in value.split(b",")]
    if b"accept-encoding" in names or b"*" in names:
        return value
    return value + b", Accept-Encoding" if value else b"Accept-Encoding"


def _date(seconds: float) -> bytes:
    """Return a date; the epoch for what no date can hold: what is in a store is not believed."""
    try:
        return dates.write(seconds)
    except (ValueError, OverflowError, OSError):
        return dates.write(0)


def answer(
    prepared: Prepared, method: str, asked: Conditions | None, coding: bytes, now: float, cache_status: bytes = b""
) -> Answer:
    """Return the answer to a GET or HEAD; measured, the plain hit takes 0.5 microseconds.

    Args:
        prepared: what is stored.
        method: of the request.
        asked: its conditions, from `conditions`. Those of `Conditions.for_the_app` are not looked at here.
        coding: the content coding wanted; the plain form is sent where there is no such variant.
        now: wall-clock seconds.
        cache_status: value of Cache-Status, from `status`; empty for that of a plain hit.

    Example:
        >>> stored = prepare(Entry(b"key", 200, (), b"hello", received=100.0, lifetime=60.0))
        >>> code, fields, body = answer(stored, "GET", None, b"", 110.0)
        >>> code, dict(fields)[b"age"], dict(fields)[b"cache-status"], body
        (200, b'10', b'hotplate; hit; ttl=50', b'hello')
    """
    _, age, told = prepared.hit_fields(now)
    if cache_status:
        told = (b"cache-status", cache_status)
    shape = prepared.coded.get(coding, prepared.plain) if coding else prepared.plain
    if asked is not None:
        less = _less(prepared, method, asked, shape, now)
        if less is not None:
            code, fields, body = less
            return code, [*fields, age, told], body
    return prepared.entry.status, [*shape.fields, age, told], shape.body if method != "HEAD" else b""


def _less(prepared: Prepared, method: str, asked: Conditions, shape: Shape, now: float) -> Answer | None:
    """Return what is due in place of the whole response, or None."""
    tag = conditional.unchanged(prepared.entry, asked, now)
    if tag is not None:
        return 304, _of_304(shape.fields, tag), b""
    if asked.range is None or method != "GET" or not _has_parts(prepared):
        return None
    if not conditional.takes_range(prepared.entry, asked, now):
        return None
    return _part(prepared.plain, asked.range)


def _has_parts(prepared: Prepared) -> bool:
    """Whether ranges of it may be sent: of a whole 200, unless the app says no (RFC 9110, section 14.3)."""
    return prepared.entry.status == 200 and (b"accept-ranges", b"none") not in prepared.plain.fields


def _of_304(fields: Fields, tag: bytes) -> Fields:
    left_out = _NOT_IN_A_304 | {b"last-modified"} if tag else _NOT_IN_A_304
    kept = [field for field in fields if field[0] not in left_out]
    if tag:
        kept.append((b"etag", tag))
    return kept


def _part(plain: Shape, asked: bytes) -> Answer | None:
    body = plain.body
    parts = ranges.spans(asked, len(body))
    if parts is None:
        return None
    if not parts:
        kept = [field for field in plain.fields if field[0] in {b"date", b"vary"}]
        return 416, [*kept, (b"content-range", b"bytes */%d" % len(body)), (b"content-length", b"0")], b""
    kept = [field for field in plain.fields if field[0] not in _NOT_IN_A_PART]
    if len(parts) == 1:
        part = body[slice(*parts[0])]
        where = (b"content-range", ranges.content_range(*parts[0], len(body)))
        return 206, [*kept, where, _length(part)], part
    media_type = next((value for name, value in kept if name == b"content-type"), b"")
    media_type, part = ranges.multipart(body, parts, media_type)
    kept = [field for field in kept if field[0] != b"content-type"]
    return 206, [*kept, (b"content-type", media_type), _length(part)], part
