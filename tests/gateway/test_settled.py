"""What cannot be refused, because the data plane settled it or the app was done, has one reading and harms nobody."""

from __future__ import annotations

import socket

import pytest

from tests.gateway.corpus.cases import BADLY_FRAMED, FORBIDDEN_BEHIND_ANNOUNCED, Case
from tests.gateway.corpus.plane import Address, talk

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def everything(address: Address, data: bytes, *, ends: bool = False) -> bytes:
    """Send `data` and return all that comes until the server closes the connection."""
    assert isinstance(address, tuple)
    received = b""
    with socket.create_connection(address, timeout=60) as sock:
        sock.sendall(data)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        try:
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionResetError:  # closed with bytes of ours unread
            pass
    return received


def test_forbidden_trailers_reach_nobody(front: Address) -> None:
    """They change neither the request that they follow nor where the next one begins."""
    seen = talk(front, FORBIDDEN_BEHIND_ANNOUNCED).seen
    assert seen["scope"]["headers"] == [["host", "a.example"], ["transfer-encoding", "chunked"], ["trailer", "X-Sum"]]
    assert "".join(message["body"] for message in seen["messages"]) == "a"
    both = everything(front, FORBIDDEN_BEHIND_ANNOUNCED + NEXT)
    assert both.count(b"HTTP/1.1 200") == 2
    assert b"b.example" not in both


@pytest.mark.parametrize("case", BADLY_FRAMED, ids=lambda case: case.name)
def test_a_connection_with_bad_chunks_that_nobody_read_is_not_used_again(front: Address, case: Case) -> None:
    """An app that answers without reading its body cannot be refused any more; what follows is never a request."""
    received = everything(front, case.data.replace(b"POST / ", b"POST /unread ", 1) + NEXT, ends=case.ends)
    assert received.startswith(b"HTTP/1.1 200") or not received  # a reset may overtake the answer
    assert received.count(b"HTTP/1.1 ") < 2
    assert b"smuggled" not in received
