"""Files in `wsgi.file_wrapper`: what is sent is what the app opened, from where it stands."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import pytest

from hotplate.gateway.wsgi.filewrapper import BLOCK, FileWrapper
from tests.gateway.wsgi.asking import PLAIN, ask, request

Starter = Callable[..., object]


def _wrapping(file: Any, headers: list[tuple[str, str]], *block: int) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", headers)
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, *block)
        return wrapped

    return app


SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("declares", [True, False])
def test_plain_files_are_sent_from_where_they_stand(size: int, offset: int, declares: bool, tmp_path: Path) -> None:
    """With their length, small ones whole and large ones in large blocks; both are closed."""
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    file = path.open("rb")
    file.seek(offset)
    rest = data[offset:]
    headers = [PLAIN, ("Content-Length", str(len(rest)))] if declares else [PLAIN]
    client = ask(_wrapping(file, headers), strict=False)
    assert (client.body, client.complete) == (rest, True)
    assert file.closed
    assert client.fields[-1] == (b"content-length", b"%d" % len(rest))
    assert len(client.parts) <= (1 if len(rest) <= BLOCK else len(rest) // BLOCK + 3)


@pytest.mark.parametrize("size", SIZES)
def test_the_validator_agrees_with_files(size: int) -> None:
    """`wsgiref.validate` has nothing to say."""
    assert ask(_wrapping(io.BytesIO(b"x" * size), [PLAIN])).body == b"x" * size


@pytest.mark.parametrize("length", [0, 5, BLOCK, BLOCK + 1])
def test_a_declared_length_ends_the_file(length: int, caplog: pytest.LogCaptureFixture) -> None:
    """A part of a file is asked for like that (PEP 3333), so it is no mistake to be logged."""
    file = io.BytesIO(b"0123456789" * BLOCK)
    client = ask(_wrapping(file, [PLAIN, ("Content-Length", str(length))]), strict=False)
    assert (client.body, client.complete) == ((b"0123456789" * BLOCK)[:length], True)
    assert not caplog.records
    assert file.closed


def test_a_removed_file_is_still_sent(tmp_path: Path) -> None:
    """Apps unlink what they have just made for one client."""
    path = tmp_path / "report"
    path.write_bytes(b"x" * 3 * BLOCK)
    file = path.open("rb")
    path.unlink()
    assert len(ask(_wrapping(file, [PLAIN]), strict=False).body) == 3 * BLOCK


def test_a_compressed_file_is_not_measured_by_its_disk_size(tmp_path: Path) -> None:
    """Its file number leads to other bytes than its read()."""
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb") as packed:
        packed.write(b"x" * 100_000)
    with gzip.open(path, "rb") as file:
        client = ask(_wrapping(file, [PLAIN]), strict=False)
    assert client.body == b"x" * 100_000


def test_a_pipe_is_read_as_the_app_asked() -> None:
    """A block of a pipe comes when it comes; waiting for a large one would hold it back."""
    sizes: list[int] = []

    class Pipe:
        def __init__(self) -> None:
            self.left = [b"a", b"b"]

        def read(self, size: int) -> bytes:
            sizes.append(size)
            return self.left.pop(0) if self.left else b""

    assert ask(_wrapping(Pipe(), [PLAIN], 100)).body == b"ab"
    assert set(sizes) == {100}


def test_a_head_does_not_send_the_file() -> None:
    """But closes it."""
    file = io.BytesIO(b"x" * 10)
    client = ask(_wrapping(file, [PLAIN, ("Content-Length", "10")]), request("HEAD"), strict=False)
    assert (client.body, dict(client.fields)[b"content-length"]) == (b"", b"10")
    assert file.closed


def _unseekable() -> IO[bytes]:
    read, write = os.pipe()
    os.write(write, b"x")
    os.close(write)
    return os.fdopen(read, "rb")


def _closed() -> IO[bytes]:
    file = io.FileIO(os.devnull)
    file.close()
    return file


@pytest.mark.parametrize("make", [_unseekable, _closed, lambda: io.StringIO("x"), object])
def test_only_plain_files_and_memory_are_measured(make: Callable[[], Any]) -> None:
    """Everything else is read until it ends."""
    file = make()
    assert FileWrapper(file).remaining() is None
    if hasattr(file, "close"):
        file.close()


def test_a_wrapper_has_close_only_where_the_file_has() -> None:
    """As PEP 3333 words it."""

    class Bare:
        def read(self, size: int) -> bytes:
            return b""

    assert not hasattr(FileWrapper(Bare()), "close")
    assert hasattr(FileWrapper(io.BytesIO()), "close")
