"""The content codings: zstd (RFC 8878), br (RFC 7932) and gzip (RFC 1952), of a whole body or of a stream.

Live levels are the ones at which a response leaves sooner compressed than not, on a LAN already; stored copies are made
once and sent often. Measured on 50 KB of JSON, in milliseconds and per cent of the size:

| coding | live | stored |
|---|---|---|
| zstd | 3: 0.07, 17.3 | 9: 0.47, 15.4 |
| br | 4: 0.30, 16.7 | 6: 0.57, 15.3 |
| gzip | ISA-L 2: 0.04, 20.1 | zlib 9: 1.19, 16.2 |

Every coding can carry filler that no decoder hands on, to hide how well a body was compressed: docs/compression.md.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from isal import isal_zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    import brotli  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # PyPy; it is offered where it is there
    brotli = None

_RAW = -15  # deflate without a header, of its own 32 KiB window
# RFC 9659 allows 8 MiB. A stream's window is memory for as long as it lasts, and streams are many.
_STREAM_WINDOW = 17
_SMALL_WINDOW = 16


class Encoder(Protocol):
    """Compresses a stream."""

    def write(self, data: bytes) -> bytes:
        """Return `data` compressed, and all that came before, so that a decoder can hand it on at once."""

    def end(self, data: bytes) -> bytes:
        """Return the last part, and the end."""

    def pad(self, size: int) -> bytes:
        """Return filler of about `size` bytes, to be sent after what `write` returned."""


class Coding(NamedTuple):
    """One content coding.

    Args:
        name: as in Content-Encoding.
        live: compresses a body that is about to be sent; with bytes of filler, 0 for none.
        stored: compresses a body that will be sent often.
        stream: makes an encoder; told whether it is one of many that are mostly silent.
        pads_streams: whether filler can be put into the middle of a stream.
        quick: bytes of body that it compresses in about half a millisecond.
    """

    name: bytes
    live: Callable[[bytes, int], bytes]
    stored: Callable[[bytes], bytes]
    stream: Callable[[bool], Encoder]
    pads_streams: bool
    quick: int


# ---------------------------------------------------------------- zstd


def _zstd_live(body: bytes, padding: int) -> bytes:
    compressed = zstd.compress(body, 3)
    # A skippable frame (RFC 8878, section 3.1.2), last: a decoder that knows only one frame has all it needs before it.
    return compressed + struct.pack("<II", 0x184D2A50, padding) + bytes(padding) if padding else compressed


def _zstd_stored(body: bytes) -> bytes:
    return zstd.compress(body, 9)


class _Zstd:
    def __init__(self, small: bool) -> None:  # noqa: FBT001  # as `Coding.stream` is called
        self._compressor = zstd.ZstdCompressor(
            options={
                zstd.CompressionParameter.compression_level: 1 if small else 3,
                zstd.CompressionParameter.window_log: _SMALL_WINDOW if small else _STREAM_WINDOW,
            }
        )

    def write(self, data: bytes) -> bytes:
        return self._compressor.compress(data, zstd.ZstdCompressor.FLUSH_BLOCK)

    def end(self, data: bytes) -> bytes:
        return self._compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)

    def pad(self, size: int) -> bytes:
        """Return nothing: only between frames there is room, and not every client reads on after the first."""
        del size
        return b""


# ---------------------------------------------------------------- br


def _brotli_live(body: bytes, padding: int) -> bytes:
    if not padding:
        compressed: bytes = brotli.compress(body, quality=4)
        return compressed
    compressor = brotli.Compressor(quality=4)
    return b"".join((compressor.process(body), compressor.flush(), _metadata(padding), compressor.finish()))


def _brotli_stored(body: bytes) -> bytes:
    compressed: bytes = brotli.compress(body, quality=6)
    return compressed


def _metadata(size: int) -> bytes:
    """Return an empty meta-block with bytes to be skipped (RFC 7932, section 9.2), for a place between two bytes.

    Bit by bit: not the last, no length, reserved, one byte of skip length, that less one, and up to the next byte.
    """
    return struct.pack("<H", 0b01_0_11_0 | (size - 1) << 6) + bytes(size)


class _Brotli:
    def __init__(self, small: bool) -> None:  # noqa: FBT001  # as `Coding.stream` is called
        self._compressor = brotli.Compressor(
            quality=1 if small else 4, lgwin=_SMALL_WINDOW if small else _STREAM_WINDOW
        )

    def write(self, data: bytes) -> bytes:
        return b"".join((self._compressor.process(data), self._compressor.flush()))

    def end(self, data: bytes) -> bytes:
        return b"".join((self._compressor.process(data), self._compressor.finish()))

    def pad(self, size: int) -> bytes:
        return _metadata(size)


# ---------------------------------------------------------------- gzip


def _gzip_live(body: bytes, padding: int) -> bytes:
    return b"".join(
        (_gzip_head(padding), isal_zlib.compress(body, 2, wbits=_RAW), _gzip_tail(isal_zlib.crc32(body), len(body)))
    )


def _gzip_stored(body: bytes) -> bytes:
    return b"".join((_gzip_head(0), zlib.compress(body, 9, wbits=_RAW), _gzip_tail(isal_zlib.crc32(body), len(body))))


def _gzip_head(padding: int) -> bytes:
    """Return a header (RFC 1952, section 2.3) without a time, of an unknown system; filler is a file's name."""
    if padding:
        return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"x" * padding + b"\0"
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def _gzip_tail(crc: int, size: int) -> bytes:
    return struct.pack("<II", crc, size & 0xFFFFFFFF)


class _Gzip:
    def __init__(self, small: bool) -> None:  # noqa: FBT001  # as `Coding.stream` is called
        self._compressor = isal_zlib.compressobj(1 if small else 2, wbits=_RAW)
        self._crc = self._size = 0
        self._head = _gzip_head(0)

    def write(self, data: bytes) -> bytes:
        return self._take(data) + self._compressor.flush(isal_zlib.Z_SYNC_FLUSH)

    def end(self, data: bytes) -> bytes:
        return self._take(data) + self._compressor.flush() + _gzip_tail(self._crc, self._size)

    def _take(self, data: bytes) -> bytes:
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        head, self._head = self._head, b""
        return head + self._compressor.compress(data)

    def pad(self, size: int) -> bytes:
        """Return empty blocks (RFC 1951, section 3.2): of 10 bits with fixed codes, and a stored one up to the byte."""
        count = max(0, (size - 5) * 8 // 10)
        bits = sum(0b0000000_01_0 << 10 * place for place in range(count))
        return bits.to_bytes((10 * count + 3 + 7) // 8, "little") + b"\0\0\xff\xff"


CODINGS: dict[bytes, Coding] = {
    each.name: each
    for each in (
        Coding(b"zstd", _zstd_live, _zstd_stored, _Zstd, pads_streams=False, quick=256 * 1024),
        Coding(b"br", _brotli_live, _brotli_stored, _Brotli, pads_streams=True, quick=64 * 1024),
        Coding(b"gzip", _gzip_live, _gzip_stored, _Gzip, pads_streams=True, quick=256 * 1024),
    )
    if each.name != b"br" or brotli is not None
}
"""By name; those that this Python can do."""
