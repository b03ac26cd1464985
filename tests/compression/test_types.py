"""Which media types are compressed."""

from __future__ import annotations

import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.compression import types
from hotplate.compression.types import is_compressible, is_event_stream


@pytest.mark.parametrize(
    "value",
    [
        b"text/html",
        b"text/html; charset=utf-8",
        b"TEXT/HTML;charset=utf-8",
        b" text/css ",
        b"text/x-unheard-of",
        b"text/event-stream",
        b"application/json",
        b"application/problem+json",
        b"application/ld+json; profile=x",
        b"application/atom+xml",
        b"image/svg+xml",
        b"application/javascript",
        b"application/x-ndjson",
        b"application/wasm",
        b"application/x-tar",
        b"font/ttf",
        b"font/otf",
        b"application/vnd.ms-fontobject",
        b"image/bmp",
        b"image/x-icon",
        b"image/vnd.microsoft.icon",
        b"model/gltf-binary",
        b"model/gltf+json",
    ],
)
def test_compressible(value: bytes) -> None:
    """Text in all its forms, and what is stored uncompressed; parameters and case do not matter."""
    assert is_compressible(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b";",
        b"text",
        b"image/png",
        b"image/jpeg",
        b"image/webp",
        b"image/avif",
        b"video/mp4",
        b"audio/mpeg",
        b"font/woff",
        b"font/woff2",
        b"application/zip",
        b"application/gzip",
        b"application/zstd",
        b"application/pdf",
        b"application/octet-stream",
        b"application/epub+zip",
        b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"application/grpc",
        b"application/grpc+json",
        b"application/connect+json",
        b"multipart/form-data",
        b"application/octet-stream; name=text/html",
        b"application/jsonx",
        b"xtext/html",
    ],
)
def test_not_compressible(value: bytes) -> None:
    """What is compressed already, what frames itself, and what nobody knows."""
    assert not is_compressible(value)


@pytest.mark.parametrize(
    "name", ["a.html", "a.css", "a.js", "a.json", "a.svg", "a.csv", "a.txt", "a.xml", "a.md", "a.wasm"]
)
def test_what_python_calls_web_files(name: str) -> None:
    """Static files by the names that frameworks give their types by."""
    media_type = mimetypes.guess_type(name)[0]
    assert media_type
    assert is_compressible(media_type.encode())


def test_the_table_is_in_order() -> None:
    """Its rows are lower case, and none says what a rule says already."""
    for name in types.COMPRESSIBLE:
        assert name == name.lower().strip()
        assert not name.startswith(b"text/")
        assert not name.decode().endswith(types.SUFFIXES)


def test_event_streams() -> None:
    """By their type alone."""
    assert is_event_stream(b"Text/Event-Stream; charset=utf-8")
    assert not is_event_stream(b"text/html")


@given(st.binary(max_size=60))
def test_nonsense_is_never_an_error(value: bytes) -> None:
    """An app may send anything."""
    is_compressible(value)


def test_memory_is_bounded() -> None:
    """An app that sends another type each time, such as one with a boundary in it, fills nothing."""
    for number in range(5000):
        assert is_compressible(b"text/html; x=%d" % number)
    assert len(types._known) <= 1024
