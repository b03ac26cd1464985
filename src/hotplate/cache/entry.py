"""What is kept of one response, everything that later decisions need parsed when it is stored."""

from __future__ import annotations

import msgspec

Fields = list[tuple[bytes, bytes]]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One stored response, or what is remembered of one that could not be stored.

    Args:
        full: the whole key, compared on every use: a digest alone is not believed.
        status: of the response; 0 for a marker (see `refused`).
        fields: as the app sent them, without those of the connection (RFC 9111, section 3.1).
        body: as the app sent it, or in `coding`.
        coding: content coding that we applied; empty for the app's own form.
        received: wall-clock seconds when the response arrived.
        age: its age then, in seconds (RFC 9111, section 4.2.3).
        lifetime: seconds it is fresh, counted in its age (section 4.2.1).
        swr: seconds after that in which it may be served while it is refreshed (RFC 5861, section 3).
        sie: seconds after that in which it may be served in place of an error (RFC 5861, section 4).
        must_revalidate: whether it may never be served stale (`must-revalidate`, `proxy-revalidate`, `s-maxage`).
        no_cache: whether every use needs revalidation (`no-cache` without field names).
        explicit: whether the app has said that it is for everyone, cookies and credentials or not.
        date: value of its Date field as wall-clock seconds; `received` where it had none.
        etag: its entity tag as sent, empty for none.
        modified: its Last-Modified as wall-clock seconds, 0 for none.
        vary: names of the request fields it depends on, lower case.
        tags: what it can be invalidated by, besides its URL.
        cost: seconds it took to make; for early refresh.
        refused: why it could not be stored; empty for a stored response.
        variants: of the record at the primary key, the `vary` tuples seen, latest first; how variants are found.
    """

    full: bytes
    status: int = 0
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    coding: bytes = b""
    received: float = 0.0
    age: float = 0.0
    lifetime: float = 0.0
    swr: float = 0.0
    sie: float = 0.0
    must_revalidate: bool = False
    no_cache: bool = False
    explicit: bool = False
    date: float = 0.0
    etag: bytes = b""
    modified: float = 0.0
    vary: tuple[bytes, ...] = ()
    tags: tuple[str, ...] = ()
    cost: float = 0.0
    refused: str = ""
    variants: tuple[tuple[bytes, ...], ...] = ()

    def size(self) -> int:
        """Return roughly the bytes it takes in memory."""
        return 600 + len(self.full) + len(self.body) + sum(len(name) + len(value) + 130 for name, value in self.fields)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return `entry` as bytes for a store."""
    return _encoder.encode(entry)


def decode(value: bytes, full: bytes) -> Entry | None:
    """Return the entry kept in `value`, or None where it is damaged or another key's.

    Example:
        >>> decode(encode(Entry(b"key", 200)), b"key").status
        200
        >>> decode(b"nonsense", b"key")
    """
    try:
        entry = _decoder.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None
    return entry if entry.full == full else None
