"""Requests larger than allowed are refused with the status that says what is too large; the limit itself is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.hygiene import fault, sift
from hotplate.gateway.limits import Limits, body_excess, head_excess
from hotplate.settings import Settings
from tests.gateway.corpus.plane import Address, plane, talk

SMALL = {"limit_request_line": 300, "limit_request_fields": 5, "limit_header_size": 1024, "limit_body": 10}


@pytest.fixture(scope="module")
def small() -> Iterator[Address]:
    """A data plane with small limits."""
    with plane("front", None, **SMALL) as address:
        yield address


def scope_of(**changes: Any) -> dict[str, Any]:
    """Return the scope of a plain request, changed."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"a")],
        **changes,
    }


def test_the_limits_are_the_settings() -> None:
    """Each setting has its field."""
    settings = Settings(limit_request_line=1000, limit_request_fields=7, limit_header_size=2000, limit_body=3)
    assert Limits.of(settings) == Limits(1000, 7, 2000, 3)
    assert Limits.of(Settings()) == Limits()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("query", [b"", b"q"])
@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 414)])
def test_the_request_line_is_measured_to_the_byte(
    small: Address, method: str, query: bytes, over: int, status: int
) -> None:
    """As the client wrote it: method, target and version with the spaces between them."""
    line = b"%s /%s HTTP/1.1" % (method.encode(), b"?" + query if query else b"")
    padded = line.replace(b"/", b"/" + b"a" * (300 + over - len(line)), 1)
    assert len(padded) == 300 + over
    assert talk(small, padded + b"\r\nHost: a\r\n\r\n").status == status


@pytest.mark.parametrize(("count", "status"), [(5, 200), (6, 431)])
def test_fields_are_counted(small: Address, count: int, status: int) -> None:
    """Host is one of them."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * (count - 1) + b"\r\n"
    assert talk(small, request).status == status


@pytest.mark.parametrize("name", [b"Accept", b"X-" + b"n" * 100])
@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 431)])
def test_the_header_section_is_measured_to_the_byte(small: Address, name: bytes, over: int, status: int) -> None:
    """Names, values, and what is written around them; long names no less than long values."""
    around = len(b"Host: a\r\n") + len(name) + 4
    section = b"Host: a\r\n" + name + b": " + b"v" * (1024 + over - around) + b"\r\n"
    assert len(section) == 1024 + over
    assert talk(small, b"GET / HTTP/1.1\r\n" + section + b"\r\n").status == status


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_a_declared_body_is_refused_before_it_is_read(small: Address, size: int, status: int) -> None:
    """With its whole body, and with none of it sent: the declaration is enough."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % size
    assert talk(small, head + b"\r\n" + b"x" * size).status == status
    if status == 413:
        assert talk(small, head + b"Expect: 100-continue\r\n\r\n").status == status


@pytest.mark.parametrize(("chunks", "status"), [((4, 6), 200), ((4, 7), 413), ((11,), 413)])
def test_a_streamed_body_is_counted_while_it_arrives(small: Address, chunks: tuple[int, ...], status: int) -> None:
    """Chunked bodies declare nothing."""
    body = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in chunks)
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    assert talk(small, request).status == status


def test_a_refusal_names_the_limit(small: Address) -> None:
    """The number to change, or to stay below."""
    assert b"300 bytes" in talk(small, b"GET /" + b"a" * 999 + b" HTTP/1.1\r\nHost: a\r\n\r\n").body


@pytest.mark.parametrize(
    ("declared", "limit", "refused"),
    [
        (b"3", 3, False),
        (b"4", 3, True),
        (b"0" * 5000 + b"3", 3, False),
        (b"9" * 5000, 3, True),
        (b"9" * 5000, 0, False),
    ],
    ids=["at it", "above it", "zeros before", "more digits than Python converts", "no limit"],
)
def test_declared_lengths_are_numbers_of_any_length(declared: bytes, limit: int, refused: bool) -> None:
    """Python refuses to convert more than 4300 digits; we need not."""
    assert (body_excess(declared, Limits(body=limit)) is not None) == refused


def test_a_scope_without_method_or_raw_path_is_measured_too() -> None:
    """WebSocket scopes have no method, and raw_path is optional in ASGI."""
    scope = scope_of(type="websocket")
    del scope["method"], scope["raw_path"]
    assert fault(scope, Limits()) is None


fields = st.lists(st.tuples(st.binary(min_size=1, max_size=90), st.binary(max_size=90)), max_size=9)


@given(fields, st.integers(0, 800))
def test_the_short_sum_decides_as_the_long_one(headers: list[tuple[bytes, bytes]], limit: int) -> None:
    """Names are only measured where they could matter, whatever was learnt of them."""
    exact = sum(len(name) + len(value) + 4 for name, value in headers)
    value_bytes, _notable = sift(headers)
    refusal = head_excess(scope_of(headers=headers), Limits(header_size=limit), value_bytes)
    assert (refusal is not None) == (exact > limit)
