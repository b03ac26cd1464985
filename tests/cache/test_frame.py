"""A frame comes back as it was made, and nothing else is taken for one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.stores.base import Token
from hotplate.cache.stores.frame import Frame, head, pack_frame, parse, payload_of

WORDS = st.integers(0, 2**64 - 1)
FRAMES = st.builds(
    Frame,
    st.builds(Token, WORDS, WORDS),
    st.lists(st.integers(0, 65535), max_size=80).map(tuple),
    st.floats(allow_nan=False),
    st.binary(max_size=3000),
)


def packed(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return pack_frame(frame.payload, frame.token, frame.slots, frame.dies)


@given(FRAMES)
def test_a_frame_comes_back(frame: Frame) -> None:
    """Whatever was packed is parsed, from bytes and from a view of a file."""
    assert parse(packed(frame)) == frame
    assert parse(memoryview(packed(frame))) == frame


@given(FRAMES, st.data())
def test_a_frame_that_was_cut_off_is_none(frame: Frame, data: st.DataObject) -> None:
    """No part of a frame is a frame, nor is one with more behind it."""
    whole = packed(frame)
    assert parse(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    assert parse(whole + data.draw(st.binary(min_size=1, max_size=9))) is None


@given(FRAMES, st.data())
def test_a_flipped_bit_is_found(frame: Frame, data: st.DataObject) -> None:
    """A frame of which any one bit is another is no frame."""
    whole = bytearray(packed(frame))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    assert parse(bytes(whole)) is None


@given(st.binary(max_size=200))
def test_nonsense_is_none(data: bytes) -> None:
    """Bytes that are no frame are nothing, and no error."""
    assert parse(data) is None
    assert parse(b"HPf\x01" + data) is None
    assert parse(memoryview(data)) is None


def test_a_head_is_read_without_the_value() -> None:
    """What a frame says is known before its value has been looked at, and whether that is whole afterwards."""
    whole = pack_frame(b"value", Token(5, 6), (7,), math.inf)
    found = head(whole[:-1])
    assert found is not None
    assert (found.token, found.slots, found.dies) == (Token(5, 6), (7,), math.inf)
    assert payload_of(whole[:-1], found) is None
    assert payload_of(whole, found) == b"value"


@pytest.mark.parametrize(("token", "slots"), [(Token(-1, 0), ()), (Token(0, 2**64), ()), (Token(1, 1), (65536,))])
def test_what_does_not_fit_is_an_error_when_it_is_packed(token: Token, slots: tuple[int, ...]) -> None:
    """A number that no frame can hold is refused by the one who makes it."""
    with pytest.raises(ValueError, match=r"argument|format"):
        pack_frame(b"", token, slots, 0.0)
