"""The Cache-Status field, read by an independent parser of structured fields."""

from __future__ import annotations

from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http import status


def read(value: bytes) -> dict[str, Any]:
    """Return the parameters of the one member."""
    parsed: Any = http_sf.parse(value, tltype="list")
    ((name, parameters),) = parsed
    assert str(name) == "hotplate"
    return dict(parameters)


@given(st.integers(-(2**31), 2**31), st.text(max_size=300))
def test_a_hit_is_a_structured_field(ttl: int, detail: str) -> None:
    """Whatever is told of it, a parser reads it, and nothing in it ends the line."""
    value = status.hit(ttl, detail)
    assert b"\r" not in value
    assert b"\n" not in value
    told = read(value)
    assert told["hit"] is True
    assert told["ttl"] == ttl
    assert ("detail" in told) == bool(detail)


@given(st.booleans(), st.booleans(), st.sampled_from([0, 200, 304, 500]), st.text(max_size=50))
def test_a_forward_is_a_structured_field(stored: bool, collapsed: bool, code: int, detail: str) -> None:
    """Its parameters are those that were given."""
    told = read(status.forwarded("stale", status=code, stored=stored, collapsed=collapsed, detail=detail))
    assert str(told["fwd"]) == "stale"
    assert ("stored" in told) is stored
    assert ("collapsed" in told) is collapsed
    assert told.get("fwd-status", 0) == code
    assert ("detail" in told) == bool(detail)


@pytest.mark.parametrize(
    ("detail", "value"),
    [
        ("STALE", b"hotplate; hit; ttl=1; detail=STALE"),
        ("two words", b'hotplate; hit; ttl=1; detail="two words"'),
        ('a"b\\c', b'hotplate; hit; ttl=1; detail="a\\"b\\\\c"'),
        ("a\r\nset-cookie: x=1", b'hotplate; hit; ttl=1; detail="a??set-cookie: x=1"'),
        ("é", b'hotplate; hit; ttl=1; detail="?"'),
    ],
)
def test_details(detail: str, value: bytes) -> None:
    """A token where it is one, a string where not, and no way to write another field."""
    assert status.hit(1, detail) == value
