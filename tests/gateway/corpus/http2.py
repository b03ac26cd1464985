"""The same for HTTP/2: header lists, what becomes of each at the bare data plane, and behind hygiene."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events

from tests.gateway.corpus.plane import Address

Fields = tuple[tuple[bytes, bytes], ...]
RESET = 0  # the stream or the connection was ended by an error instead of a status

PLAIN: Fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/x?y"))


class Case2(NamedTuple):
    """One HTTP/2 request; `plane` and `ours` as in `cases.Case`, `RESET` for an ended stream."""

    name: str
    fields: Fields
    plane: int
    ours: int
    body: bytes = b""


def _with(name: bytes, value: bytes) -> Fields:
    changed = tuple((known, value if known == name else kept) for known, kept in PLAIN)
    return changed if changed != PLAIN else (*PLAIN, (name, value))


CASES2 = (
    Case2("plain", PLAIN, 200, 200),
    Case2("no authority", (*PLAIN[:2], PLAIN[3]), 200, 400),
    Case2("host instead of authority", (*PLAIN[:2], PLAIN[3], (b"host", b"a.example")), 200, 200),
    Case2("authority with user", _with(b":authority", b"u@a.example"), 200, 400),
    Case2("connection", _with(b"connection", b"close"), RESET, RESET),
    Case2("keep-alive", _with(b"keep-alive", b"1"), RESET, RESET),
    Case2("upgrade", _with(b"upgrade", b"h2c"), RESET, RESET),
    Case2("transfer-encoding", _with(b"transfer-encoding", b"chunked"), RESET, RESET),
    Case2("te other than trailers", _with(b"te", b"gzip"), RESET, RESET),
    Case2("te trailers", _with(b"te", b"trailers"), 200, 200),
    Case2("upper-case name", (*PLAIN, (b"X-Up", b"1")), RESET, RESET),
    Case2("control byte in a value", _with(b"x", b"a\x01"), RESET, RESET),
    Case2("line end in a value", _with(b"x", b"a\r\nb: c"), RESET, RESET),
    Case2("pseudo-field after a field", (*PLAIN[:3], (b"x", b"y"), PLAIN[3]), RESET, RESET),
    Case2("path twice", (*PLAIN, (b":path", b"/z")), RESET, RESET),
    Case2("unknown pseudo-field", (*PLAIN[:3], (b":foo", b"1"), PLAIN[3]), RESET, RESET),
    Case2("GET *", _with(b":path", b"*"), 200, 400),
    Case2("relative path", _with(b":path", b"x"), RESET, RESET),
    Case2("empty path", _with(b":path", b""), RESET, RESET),
    Case2("raw UTF-8 in the path", _with(b":path", b"/\xc3\xa4"), 200, 400),
    Case2("bad percent in the path", _with(b":path", b"/%zz"), 200, 400),
    Case2("lower-case method", _with(b":method", b"get"), 200, 400),
    Case2("CONNECT", ((b":method", b"CONNECT"), (b":authority", b"a.example:1")), 200, 501),
    Case2("expectation", _with(b"expect", b"tea"), 200, 417),
    Case2("two hosts", (*PLAIN, (b"host", b"a.example"), (b"host", b"b.example")), 200, 400),
    Case2("two content types", (*PLAIN, (b"content-type", b"a/b"), (b"content-type", b"c/d")), 200, 400),
    Case2("101 fields", PLAIN + ((b"x", b"y"),) * 101, 200, 431),
    Case2("length list", _with(b"content-length", b"1,1"), RESET, RESET, b"a"),
    Case2("length above the body", _with(b"content-length", b"5"), RESET, RESET, b"a"),
    Case2("length below the body", _with(b"content-length", b"0"), RESET, RESET, b"a"),
)


def ask(address: Address, fields: Fields, body: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Send one request and return its status, `RESET` for an error, and what the app saw if it was reached."""
    config = h2.config.H2Configuration(
        client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
    )
    connection = h2.connection.H2Connection(config=config)
    connection.initiate_connection()
    connection.send_headers(1, list(fields), end_stream=not body)
    if body:
        connection.send_data(1, body, end_stream=True)
    assert isinstance(address, tuple)
    with socket.create_connection(address, timeout=60) as sock:
        sock.sendall(connection.data_to_send())
        status, text = 0, b""
        while received := _some(sock):
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers or ())[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    text += event.data or b""
                elif isinstance(event, h2.events.StreamEnded):
                    return status, json.loads(text) if text.startswith(b"{") else {}
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return status, {}
            sock.sendall(connection.data_to_send())
    return status, {}


def _some(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""
