"""What the Server field tells of us, on the wire (RFC 9110, section 10.2.4 warns of details)."""

from __future__ import annotations

import pytest

from hotplate import __version__
from tests.support.gateway_process import Served, gateway

PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
REFUSED = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
PROBE = b"GET /-/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def fields(served: Served, request: bytes) -> list[bytes]:
    """Return the Server fields of an answer."""
    lines = served.raw(request).partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    return [line.partition(b":")[2].strip() for line in lines if line.startswith(b"server:")]


@pytest.mark.parametrize("app", ["flask_app", "asgi_app"])
def test_no_answer_names_a_version_unless_asked(app: str) -> None:
    """Neither the app's answers nor our own; and the data plane does not name itself."""
    with gateway(f"tests.support.apps:{app}", health_path="/-/health") as served:
        for request in (PLAIN, REFUSED, PROBE):
            assert fields(served, request) == [b"hotplate"]


@pytest.mark.parametrize("app", ["flask_app", "asgi_app"])
def test_the_version_is_named_when_asked(app: str) -> None:
    """`--server-header` adds it, in the app's answers."""
    with gateway(f"tests.support.apps:{app}", server_header=True) as served:
        assert fields(served, PLAIN) == [f"hotplate/{__version__}".encode()]
