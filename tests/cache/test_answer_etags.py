"""Entity tags and the suffix of a coding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http.etags import CODINGS, held, same, stripped, suffixed

# etagc: RFC 9110, section 8.8.3.
OPAQUE = st.text(st.sampled_from([chr(code) for code in (0x21, *range(0x23, 0x7F), *range(0x80, 0x100))]), max_size=20)
STRONG = OPAQUE.map(lambda text: b'"' + text.encode("latin-1") + b'"')
TAGS = st.one_of(STRONG, STRONG.map(lambda tag: b"W/" + tag))
CODING = st.sampled_from(CODINGS)


@given(TAGS, CODING)
def test_a_suffix_comes_off_as_it_went_on(tag: bytes, coding: bytes) -> None:
    """What the app sent is what it is asked for, whatever is in it, even something like a suffix."""
    coded = suffixed(tag, coding)
    if coded != tag:
        assert stripped(coded) == tag
    assert coded.startswith(b"W/") == tag.startswith(b"W/")


@given(st.lists(st.tuples(STRONG, CODING), min_size=1, max_size=5))
def test_lists_keep_their_members(tags: list[tuple[bytes, bytes]]) -> None:
    """Each tag of a list loses its own suffix and nothing else."""
    value = b", ".join(suffixed(tag, coding) for tag, coding in tags)
    assert stripped(value) == b", ".join(tag for tag, _ in tags)


@given(st.lists(STRONG, max_size=4), STRONG, st.one_of(st.just(b""), CODING))
def test_the_client_is_told_the_tag_it_holds(others: list[bytes], tag: bytes, coding: bytes) -> None:
    """Whichever coding it has, its copy is good, under the name it has for it."""
    mine = suffixed(tag, coding)
    found = held(b", ".join([*(other for other in others if stripped(other) != stripped(tag)), mine]), tag)
    assert found is not None
    assert found == mine or stripped(found) == tag


@given(st.binary(max_size=60), TAGS)
def test_nonsense_is_never_an_error(value: bytes, tag: bytes) -> None:
    """Whatever a client sends, there is an answer."""
    held(value, tag)
    stripped(value)
    same(value, tag)


@pytest.mark.parametrize(
    ("value", "etag", "answer"),
    [
        (b"*", b'"x"', b'"x"'),
        (b" * ", b"", b""),
        (b'"*"', b'"x"', None),
        (b'"x"', b"", None),
        (b'W/"x"', b'"x"', b'"x"'),
        (b'"x"', b'W/"x"', b'W/"x"'),
        (b'"a,b", "x"', b'"a,b"', b'"a,b"'),
        (b'"a', b'"a"', None),
        (b"x", b"x", b"x"),
        (b'"xx"', b'"x"', None),
        (b'"x;gzip"', b'"x"', b'"x;gzip"'),
        (b'W/"x;gzip"', b'"x"', b'"x;gzip"'),
        (b'"x;deflate"', b'"x"', None),
        (b'"x"' + b" " * 9000, b'"x"', None),
    ],
)
def test_the_weak_comparison(value: bytes, etag: bytes, answer: bytes | None) -> None:
    """As RFC 9110, section 13.1.2 has it."""
    assert held(value, etag) == answer


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (b'"1"', b'"1"', True),
        (b'"1"', b'"2"', False),
        (b'W/"1"', b'"1"', False),
        (b'W/"1"', b'W/"1"', False),
        (b"1", b"1", False),
        (b'"', b'"', False),
    ],
)
def test_the_strong_comparison(one: bytes, other: bytes, answer: bool) -> None:
    """As the table in RFC 9110, section 8.8.3.2 has it."""
    assert same(one, other) is answer


@pytest.mark.parametrize("tag", [b"", b'"', b"x", b'W/"x"', b'"x', b'x"'])
def test_what_is_no_strong_tag_gets_no_suffix(tag: bytes) -> None:
    """A weak tag is right for all codings; a malformed one is the app's own business."""
    assert suffixed(tag, b"br") == tag
