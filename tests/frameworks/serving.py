"""Sites of the frameworks in folders of their own, and what is asked of them."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.support.instance import Instance, instance

SITES = Path(__file__).with_name("sites")
DOWNLOAD = bytes(range(256)) * 4096  # 1 MiB
LARGE = bytes(range(251)) * 83_600  # 20 MiB, in no step with any block size
PATIENCE = 60.0  # seconds, on a starved machine


class Site(NamedTuple):
    """A served site: the command that serves it, and a client of it."""

    instance: Instance
    client: httpx.Client


def lay_out(folder: Path, name: str) -> str:
    """Put what a site needs beside it into `folder`; returns the site's source."""
    (folder / "static").mkdir()
    (folder / "static" / "download.bin").write_bytes(DOWNLOAD)
    (folder / "static" / "style.css").write_text("p { color: black }\n")
    shutil.copy(folder / "static" / "download.bin", folder)
    return (SITES / f"{name}.py").read_text()


@contextmanager
def site(folder: Path, source: str, *flags: str, target: str = "app:app") -> Iterator[Site]:
    """Serve a site with the real command; `source` is written to app.py unless empty."""
    with (
        instance(folder, source, "--workers", "1", *flags, target=target) as running,
        httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=PATIENCE, trust_env=False) as client,
    ):
        yield Site(running, client)


def sha256(data: bytes) -> str:
    """Return the digest that the sites answer with."""
    return hashlib.sha256(data).hexdigest()


def said_to(port: int, request: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send bytes and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        sock = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        sock.sendall(request)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer
