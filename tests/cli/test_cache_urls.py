"""What is typed for a page and its request is read as clients send it, or refused: nothing is smuggled into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.cli import cache_origins, cache_urls
from hotplate.cli.cache_urls import fields, read, show
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings

READ = {
    "http://a.example/x": ["http://a.example/x", "https://a.example/x"],
    "https://A.Example:443/x?b=c": ["https://a.example/x?b=c", "http://a.example/x?b=c"],
    "http://a.example": ["http://a.example/", "https://a.example/"],
    "/x": ["http://h:1/x", "http://g/x"],
    "/x/%2f?q=%20&r=a b": ["http://h:1/x/%2f?q=%20&r=a%20b", "http://g/x/%2f?q=%20&r=a%20b"],
    "/caf\u00e9": ["http://h:1/caf%C3%A9", "http://g/caf%C3%A9"],
    "/x#part": ["http://h:1/x", "http://g/x"],
    "http://b\u00fccher.example/": ["http://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"],
    "http://[::1]:8000/": ["http://[::1]:8000/", "https://[::1]:8000/"],
}
REFUSED = {
    "/x\r\nSet-Cookie: a=b": "control characters",
    "/x\0": "control characters",
    "http://a.example\r\n/x": "control characters",
    "http://a.example /x": "host",
    "http://user@a.example/": "host",
    "http:///x": "no host",
    "ftp://a.example/": "neither http nor https",
    "articles/7": "neither a path nor a URL",
    "//a.example/x": "neither a path nor a URL",
    "": "neither a path nor a URL",
    "http://[::1/": "no URL",
    "/" + "x" * 9000: "longer than any request",
}


@pytest.mark.parametrize(("text", "urls"), READ.items(), ids=READ)
def test_urls(text: str, urls: list[str]) -> None:
    """A URL is as clients ask for it, percent-encoded and without the usual port; a path may be of several hosts."""
    assert list(map(show, read(text, ["http://h:1", "http://g"]))) == urls


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=[repr(each)[:30] for each in REFUSED])
def test_what_no_request_can_carry(text: str, words: str) -> None:
    """It is quoted, and refused with what would be right."""
    with pytest.raises(HotplateError) as refused:
        read(text, ["http://h"])
    assert refused.value.code is ExitCode.USAGE
    assert words in str(refused.value)
    assert len(str(refused.value)) < 600


FIELDS = {
    "Accept: a\r\nX: b": "control characters",
    "Accept: a\nX": "control characters",
    "Accept\r\n: a": "field's name",
    "Accept: \0": "control characters",
    "no colon": "field's name",
    ": a": "field's name",
    "a b: c": "field's name",
    "Host: b": "that of the URL",
    "Accept: \u20ac": "cannot carry it",
}


@pytest.mark.parametrize(("text", "words"), FIELDS.items(), ids=[repr(each) for each in FIELDS])
def test_fields_that_cannot_be_sent(text: str, words: str) -> None:
    """A field that would end its line, or is none, is refused."""
    with pytest.raises(HotplateError) as refused:
        fields([text], b"a")
    assert refused.value.code is ExitCode.USAGE
    assert words in str(refused.value)


@given(st.text(max_size=50), st.sampled_from(["", "/", "http://a", "http://a/", "https://"]))
def test_any_url_is_read_or_refused(text: str, before: str) -> None:
    """No text makes a request line of more than one line, or another failure than a refusal."""
    try:
        urls = read(before + text, ["http://h"])
    except HotplateError:
        return
    for url in urls:
        assert url.path.startswith(b"/")
        for part in (url.host, url.path, url.query):
            assert all(32 < byte < 127 for byte in part)


@given(st.text(max_size=50))
def test_any_field_is_read_or_refused(text: str) -> None:
    """No text makes more than one field of it."""
    try:
        ((_, host), (name, value)) = fields([text], b"h")
    except HotplateError:
        return
    assert host == b"h"
    assert name
    assert not set(b"\r\n\0") & {*name, *value}


def test_origins_of_a_path() -> None:
    """A path may be of whatever is listened on, by the names of this machine, and of the hosts of the settings."""
    assert cache_origins.of(Settings(), ["https://[::]:8443"]) == ["https://127.0.0.1:8443", "https://localhost:8443"]
    assert cache_origins.of(Settings(), ["http://192.0.2.1:80"]) == ["http://192.0.2.1:80"]
    assert cache_origins.of(Settings(), ["unix:/run/x"]) == ["http://localhost"]
    assert "https://a.example" in cache_origins.of(Settings(cache_hosts=("a.example",)), [])
    assert cache_urls.read("/x", cache_origins.of(Settings(), ["http://[::1]:8000"]))[0].host == b"[::1]:8000"
