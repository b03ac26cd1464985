"""Ranges of a body, against an oracle that knows only sets of positions."""

from __future__ import annotations

import email.parser
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http import ranges

LENGTHS = st.integers(1, 60)
SPECS = st.one_of(
    st.tuples(st.integers(0, 70), st.integers(0, 70)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    st.integers(0, 70).map(lambda first: f"{first}-"),
    st.integers(0, 70).map(lambda last: f"-{last}"),
)


def positions(specs: list[str], length: int) -> set[int]:
    """Return the positions asked for, one at a time as RFC 9110, section 14.1.2 defines each."""
    wanted: set[int] = set()
    for spec in specs:
        first, _, last = spec.partition("-")
        for place in range(length):
            if not first:
                asked = place >= length - int(last)
            else:
                asked = place >= int(first) and (not last or place <= int(last))
            if asked:
                wanted.add(place)
    return wanted


@given(st.lists(SPECS, min_size=1, max_size=12), LENGTHS)
def test_what_is_asked_for_is_what_is_sent(specs: list[str], length: int) -> None:
    """Every position asked for is in exactly one part, no other is in any, and no two parts touch."""
    found = ranges.spans(f"bytes={','.join(specs)}".encode(), length)
    wanted = positions(specs, length)
    if found is None:
        edges = sum(place - 1 not in wanted for place in wanted)
        assert edges > ranges.MOST
        return
    sent = [place for start, stop in found for place in range(start, stop)]
    assert sorted(sent) == sorted(wanted)
    starts = {start for start, _ in found}
    assert not any(stop in starts for _, stop in found)


@given(st.lists(SPECS, min_size=1, max_size=8), LENGTHS)
def test_parts_come_in_the_order_asked_for(specs: list[str], length: int) -> None:
    """A part stands where the first range that belongs to it stood (RFC 9110, section 15.3.7.2)."""
    found = ranges.spans(f"bytes={','.join(specs)}".encode(), length) or []
    order = []
    for spec in specs:
        place = min(positions([spec], length), default=None)
        part = next((part for part in found if place is not None and part[0] <= place < part[1]), None)
        if part is not None and part not in order:
            order.append(part)
    assert order == found


@given(st.binary(max_size=80), LENGTHS)
def test_nonsense_is_never_an_error(value: bytes, length: int) -> None:
    """Whatever the field holds, there is an answer, and its parts lie within the body."""
    for each in (value, b"bytes=" + value):
        for start, stop in ranges.spans(each, length) or []:
            assert 0 <= start < stop <= length


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=5-2",
        b"bytes=1-2, 5-2",
        b"bytes=a-b",
        b"bytes=1-2;3-4",
        b"bytes = 1-2",
        b"bytes=0x1-2",
        b"bytes=1-2, bytes=3-4",
        b"lines=1-2",
        "bytes=\u0661-\u0662".encode(),
        b"bytes=" + b"9" * 2000 + b"-",
        b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 2000, 2)),
        b"bytes=" + b"0-," * 300 + b"0-",
        b"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16",
    ],
)
def test_what_is_malformed_or_too_much_is_ignored(value: bytes) -> None:
    """The whole body is sent in its place, never an error."""
    assert ranges.spans(value, 100) is None


def test_nothing_has_no_parts() -> None:
    """An empty body cannot be sent in part: Content-Range has no form for it."""
    assert ranges.spans(b"bytes=0-", 0) is None
    assert ranges.spans(b"bytes=-5", 0) is None


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"BYTES=0-0", [(0, 1)]),
        (b"bytes= 0-0 ,\t,2-3", [(0, 1), (2, 4)]),
        (b"bytes=-1000", [(0, 100)]),
        (b"bytes=0-99999999999999999999", [(0, 100)]),
        (b"bytes=100-", []),
        (b"bytes=-0", []),
        (b"bytes=100-200, 99-", [(99, 100)]),
        (b"bytes=50-59, 0-9, 10-19", [(50, 60), (0, 20)]),
    ],
)
def test_the_forms_of_the_field(value: bytes, parts: list[tuple[int, int]]) -> None:
    """What is asked for beyond the end is cut off, or missing."""
    assert ranges.spans(value, 100) == parts


@given(st.binary(min_size=20, max_size=60), st.sets(st.integers(0, 9), min_size=2, max_size=8))
def test_a_multipart_body_can_be_taken_apart(body: bytes, places: set[int]) -> None:
    """A reader of MIME finds each part with its type, its place and its bytes."""
    parts = [(2 * place, 2 * place + 1) for place in sorted(places)]
    media_type, content = ranges.multipart(body, parts, b"text/plain")
    assert content.endswith(b"--\r\n")
    boundary = media_type.partition(b"boundary=")[2]
    pieces = content.split(b"\r\n--" + boundary)[1:-1]
    assert len(pieces) == len(parts)
    for piece, (start, stop) in zip(pieces, parts, strict=True):
        head, _, part = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + b"\r\n\r\n")
        assert part == body[start:stop]
        assert fields["content-type"] == "text/plain"
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", fields["content-range"])
        assert match
        assert [int(each) for each in match.groups()] == [start, stop - 1, len(body)]
