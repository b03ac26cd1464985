"""What a request that changes something makes invalid: its URL and what it names there, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.http.invalidation import invalidates
from hotplate.cache.key import Url, tag_of

URL = Url("http", b"a.example", b"/articles/7", b"page=2")
SAFE = ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH"]
UNSAFE = ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "MOVE", "FOO", "get", ""]


def at(path: bytes, query: bytes = b"") -> str:
    """Return the tag of another URL of the same host."""
    return tag_of(Url("http", b"a.example", path, query))


@pytest.mark.parametrize("method", SAFE)
def test_safe_methods_change_nothing(method: str) -> None:
    """Whatever they were answered, Cache-Group-Invalidation included (RFC 9875, section 3)."""
    assert invalidates(method, 200, URL, [(b"location", b"/"), (b"cache-group-invalidation", b'"a"')]) == ()


@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_methods_change_their_url(method: str) -> None:
    """Unknown ones as well; an error has changed nothing."""
    for status in range(100, 600):
        expected = (tag_of(URL),) if 200 <= status < 400 else ()
        assert invalidates(method, status, URL, []) == expected


LOCATIONS: dict[bytes, str | None] = {
    b"/articles/8": at(b"/articles/8"),
    b"8": at(b"/articles/8"),
    b"../front": at(b"/front"),
    b"./": at(b"/articles/"),
    b"?page=3": at(b"/articles/7", b"page=3"),
    b"/a?b=c#d": at(b"/a", b"b=c"),
    b"/a/../b": at(b"/b"),
    b"http://a.example/x": at(b"/x"),
    b"HTTP://A.Example:80/x": at(b"/x"),
    b"http://a.example": at(b"/"),
    b"//a.example/x": at(b"/x"),
    b"/caf%C3%A9": at(b"/caf%C3%A9"),
    "/café".encode(): at("/café".encode()),
    b" /x ": at(b"/x"),
    # Another origin has no say.
    b"https://a.example/x": None,
    b"http://a.example:8080/x": None,
    b"http://b.example/x": None,
    b"//b.example/x": None,
    b"http://user@a.example/x": None,
    b"http://a.example.evil.example/x": None,
    b"mailto:ann@a.example": None,
    # No reference at all.
    b"http://[::1/x": None,
    b"http://\xff\xfe/x": None,
}


@pytest.mark.parametrize("name", [b"location", b"content-location", b"Location"])
@pytest.mark.parametrize(("target", "expected"), LOCATIONS.items(), ids=repr)
def test_what_the_response_leads_to(target: bytes, expected: str | None, name: bytes) -> None:
    """Location and Content-Location of the same origin are invalid, too (RFC 9111, section 4.4)."""
    found = invalidates("POST", 303, URL, [(name, target)])
    assert found == ((tag_of(URL),) if expected is None else (tag_of(URL), expected))


def test_groups() -> None:
    """Cache-Group-Invalidation names groups; malformed, it names none."""
    fields = [(b"cache-group-invalidation", b'"articles", "front"'), (b"location", b"/articles/7?page=2")]
    assert invalidates("POST", 200, URL, fields) == (tag_of(URL), "articles", "front")
    assert invalidates("POST", 200, URL, [(b"cache-group-invalidation", b"articles")]) == (tag_of(URL),)


@given(st.lists(st.tuples(st.sampled_from([b"location", b"content-location"]), st.binary(max_size=30)), max_size=3))
def test_nothing_fails(fields: list[tuple[bytes, bytes]]) -> None:
    """Whatever the response says, its own URL is invalid."""
    assert invalidates("POST", 200, URL, fields)[0] == tag_of(URL)


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_nothing_fails_for_any_url(host: bytes, path: bytes, query: bytes) -> None:
    """Nor whatever the request's URL looks like."""
    url = Url("http", host, path, query)
    assert tag_of(url) in invalidates("POST", 200, url, [(b"location", b"x")])
