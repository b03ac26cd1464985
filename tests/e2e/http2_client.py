"""An HTTP/2 client that outlives GOAWAY (RFC 9113, section 6.8), which to the h2 package is the connection's end."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class LostRequestError(Exception):
    """A request was not answered, though the server had not said that it would not be."""


class Client:
    """Sends one GET after the other on one connection; a new one after GOAWAY.

    Args:
        port: on 127.0.0.1, without TLS.

    Attributes:
        reconnected: how often the server has asked for a new connection.
    """

    def __init__(self, port: int) -> None:
        self.reconnected = 0
        self._port = port
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._socket.close()

    def get(self, path: str) -> bytes:
        """Return the body of an answer with 200.

        Raises:
            LostRequestError: it was lost, or answered otherwise.
        """
        while True:
            answer = self._ask(path)
            if answer is not None:
                return answer
            self.reconnected += 1
            self._socket.close()
            self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._stream = -1
        self._last: int | None = None  # the last stream that the server answers, once it has said GOAWAY
        self._socket.sendall(PREFACE + SettingsFrame(settings={}).serialize())

    def _ask(self, path: str) -> bytes | None:
        """Return the answer; None where the server has said that it does not give one on this connection."""
        if self._last is not None:
            return None
        self._stream += 2
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "site.example"), (":path", path)]
        head = HeadersFrame(self._stream, data=self._encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"])
        try:
            self._socket.sendall(head.serialize())
            return self._answer()
        except OSError as error:
            if self._last is not None and self._stream > self._last:
                return None
            raise LostRequestError(path) from error

    def _answer(self) -> bytes | None:
        body, status = b"", ""
        while True:
            frame = self._frame()
            match frame:
                case PingFrame() | SettingsFrame():
                    self._acknowledge(frame)
                case GoAwayFrame():
                    self._last = frame.last_stream_id
                    if self._stream > self._last:
                        return None
                case RstStreamFrame():
                    raise LostRequestError(f"reset with {frame.error_code}")
                case HeadersFrame():
                    status = _status(self._decoder.decode(frame.data, raw=True))
                case DataFrame():
                    body += frame.data
            if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
                if status != "200":
                    raise LostRequestError(f"status {status}")
                return body

    def _acknowledge(self, frame: PingFrame | SettingsFrame) -> None:
        if "ACK" in frame.flags:
            return
        answer = PingFrame(opaque_data=frame.opaque_data) if isinstance(frame, PingFrame) else SettingsFrame()
        answer.flags.add("ACK")
        self._socket.sendall(answer.serialize())

    def _frame(self) -> Frame:
        frame, length = Frame.parse_frame_header(memoryview(self._exactly(9)))
        frame.parse_body(memoryview(self._exactly(length)))
        return frame

    def _exactly(self, count: int) -> bytes:
        held = b""
        while len(held) < count:
            received = self._socket.recv(count - len(held))
            if not received:
                raise ConnectionResetError("the server closed the connection")
            held += received
        return held


def _status(fields: Iterable[tuple[bytes, bytes]]) -> str:
    return next(value.decode() for name, value in fields if name == b":status")
