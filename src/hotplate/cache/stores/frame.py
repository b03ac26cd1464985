"""The bytes around a value in a store: whether they are whole, when they die, and what invalidates them.

Whatever else is found (cut off, flipped, of another version, nonsense) is nothing found. The checksum is there for a
file that was damaged, not against someone who may write to it: he can make one. Numbers are little-endian:

    magic and version 4 | crc32 of all that follows 4 | epoch 8 | seq 8 | dies 8 | slots 2 | 2 for each slot | payload

Measured for 10 kB: `pack_frame` 1.1 us, `parse` 2.3 us, half of it the copy. ISA-L's crc32 takes 0.23 us of that, where
zlib's takes 2.45 us.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error, pack, unpack_from
from typing import NamedTuple

from isal.isal_zlib import crc32

from hotplate.cache.stores.base import Token

_MAGIC = b"HPf\x01"
_START = Struct("<4sI")
_REST = Struct("<QQdH")
_HEAD = Struct("<4sIQQdH")  # 34 bytes
# Made once for the usual numbers of slots: finding a format by its text takes 0.3 us.
_SLOTS = tuple(Struct(f"<{count}H") for count in range(33))

Bytes = bytes | memoryview


class Head(NamedTuple):
    """What a frame says of its value, not yet checked against its checksum.

    Args:
        token: the state of the clock when the value was begun.
        slots: what invalidates it.
        dies: wall-clock seconds at which it is to be forgotten.
        start: where the value begins.
        checksum: what everything after it must add up to.
    """

    token: Token
    slots: tuple[int, ...]
    dies: float
    start: int
    checksum: int


class Frame(NamedTuple):
    """A whole frame; arguments as of `Head`, and the value itself."""

    token: Token
    slots: tuple[int, ...]
    dies: float
    payload: bytes


def pack_frame(payload: bytes, token: Token, slots: Sequence[int], dies: float) -> bytes:
    """Return the frame of a value.

    Args:
        payload: the value.
        token: the state of the clock when it was begun.
        slots: what invalidates it, at most 65,535 numbers from 0 to 65,535.
        dies: wall-clock seconds.

    Raises:
        ValueError: a number does not fit.

    Example:
        >>> parse(pack_frame(b"page", Token(9, 1), (7,), 60.0))
        Frame(token=Token(epoch=9, seq=1), slots=(7,), dies=60.0, payload=b'page')
    """
    count = len(slots)
    try:
        rest = _REST.pack(token[0], token[1], dies, count) + pack(f"<{count}H", *slots)
    except error as reason:
        raise ValueError(str(reason)) from reason
    return b"".join((_START.pack(_MAGIC, crc32(payload, crc32(rest))), rest, payload))


def head(data: Bytes) -> Head | None:
    """Return what a frame says of its value, None where `data` is no frame; the value is not looked at."""
    try:
        magic, checksum, epoch, seq, dies, count = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            return None
        slots = _SLOTS[count].unpack_from(data, 34) if count < 33 else unpack_from(f"<{count}H", data, 34)
    except error:
        return None
    return Head(Token(epoch, seq), slots, dies, 34 + 2 * count, checksum)


def payload_of(data: Bytes, found: Head) -> bytes | None:
    """Return a copy of the value after a head, None where the checksum does not hold."""
    return bytes(data[found.start :]) if crc32(data[_START.size :]) == found.checksum else None


def parse(data: Bytes) -> Frame | None:
    """Return the frame in `data`, None for anything else; never raises.

    Example:
        >>> parse(b"nonsense")
    """
    found = head(data)
    if found is None:
        return None
    payload = payload_of(data, found)
    return None if payload is None else Frame(found.token, found.slots, found.dies, payload)
