"""The codings, taken apart by decoders that are not ours."""

from __future__ import annotations

import argparse
import gzip
import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.compression import filler
from hotplate.compression.codings import CODINGS, Coding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WHOLE: dict[bytes, Callable[[bytes], bytes]] = {
    b"zstd": zstd.decompress,
    b"br": brotli.decompress,
    b"gzip": gzip.decompress,
}
EACH = pytest.mark.parametrize("coding", CODINGS.values(), ids=lambda coding: coding.name.decode())
PADDING = st.integers(0, filler.MOST)


def reader(name: bytes) -> Callable[[bytes], bytes]:
    """Return what a client does with each part of a stream as it comes."""
    if name == b"gzip":
        return zlib.decompressobj(wbits=31).decompress
    if name == b"br":
        process: Callable[[bytes], bytes] = brotli.Decompressor().process
        return process
    return zstd.ZstdDecompressor().decompress


@EACH
@given(body=st.binary(max_size=5000), padding=PADDING)
def test_a_body_comes_back(coding: Coding, body: bytes, padding: int) -> None:
    """With and without filler, at both levels."""
    assert WHOLE[coding.name](coding.live(body, padding)) == body
    assert WHOLE[coding.name](coding.stored(body)) == body


@EACH
@given(parts=st.lists(st.tuples(st.binary(max_size=300), st.none() | PADDING), max_size=12), small=st.booleans())
def test_each_part_of_a_stream_comes_at_once(
    coding: Coding, parts: list[tuple[bytes, int | None]], small: bool
) -> None:
    """A client can hand on each part before the next is made, with filler between them or without."""
    encoder, read = coding.stream(small), reader(coding.name)
    for data, padding in parts:
        sent = encoder.write(data)
        assert read(sent) == data
        if padding is not None:
            sent = encoder.pad(padding or 1)
            assert not sent or read(sent) == b""
    assert read(encoder.end(b"end")) == b"end"


@EACH
def test_filler_changes_the_length_by_itself(coding: Coding) -> None:
    """By one byte for each, so that no length is left that tells what was compressed."""
    body = b"some text " * 100
    lengths = [len(coding.live(body, padding)) for padding in range(1, filler.MOST + 1)]
    assert [length - lengths[0] for length in lengths] == list(range(filler.MOST))


@EACH
def test_a_decoder_that_knows_one_frame_has_it_all(coding: Coding) -> None:
    """Filler comes where no client stops before the end."""
    body = b"some text " * 100
    assert reader(coding.name)(coding.live(body, 50)) == body


@EACH
def test_a_large_stream(coding: Coding) -> None:
    """Megabytes in uneven parts come back."""
    encoder, read = coding.stream(False), reader(coding.name)
    body = bytes(range(256)) * 8192
    got = io.BytesIO()
    for start in range(0, len(body), 70_001):
        got.write(read(encoder.write(body[start : start + 70_001])))
    got.write(read(encoder.end(b"")))
    assert got.getvalue() == body


@EACH
def test_stored_copies_are_smaller(coding: Coding) -> None:
    """They are made once and sent often."""
    body = Path(argparse.__file__).read_bytes()
    assert len(coding.stored(body)) < len(coding.live(body, 0)) < len(body) / 3


def test_zstd_frames_need_no_more_than_8_mib() -> None:
    """RFC 9659: browsers refuse larger windows."""
    window = zstd.DecompressionParameter.window_log_max
    body = bytes(range(256)) * 65536  # 16 MiB
    for compressed in (CODINGS[b"zstd"].live(body, 0), CODINGS[b"zstd"].stored(body)):
        assert zstd.decompress(compressed, options={window: 23}) == body


def test_filler_of_a_body() -> None:
    """The same for the same body, spread over the whole range for others."""
    lengths = [filler.of_body(b"%d" % number) for number in range(5000)]
    assert lengths == [filler.of_body(b"%d" % number) for number in range(5000)]
    assert (min(lengths), max(lengths)) == (1, filler.MOST)
    assert {filler.of_part() for _ in range(5000)} <= set(range(1, filler.MOST + 1))
