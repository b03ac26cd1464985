"""The app's turn: runs it in a thread of the pool and makes of what it does one whole response, or a stream of blocks.

Which of the two, as PEP 3333 ("Buffering and Streaming") lets no block be held back while the app makes the next:

| what the app returned | sent |
|---|---|
| a list or tuple, or anything whose `len()` is 1 | whole; the length is added where the app gave none |
| an iterable whose first block fills its Content-Length (ordinary Flask, Django and Bottle responses) | whole |
| a plain file of at most a block (128 KiB) in `wsgi.file_wrapper` | whole |
| any other iterable, and what goes through `write()` | block by block |

A whole response is handed back for the caller to send; the iterable's rest and its `close()` come after that, as they
may be how the app does something once the client has its answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sized
from io import BytesIO

from hotplate.gateway.scopes import raw_path
from hotplate.gateway.types import Message, Receive, Scope, Send
from hotplate.gateway.wsgi.body import Body
from hotplate.gateway.wsgi.environ import Environ, environ_of
from hotplate.gateway.wsgi.filewrapper import BLOCK, FileWrapper
from hotplate.gateway.wsgi.host import Host
from hotplate.gateway.wsgi.start import Start
from hotplate.gateway.wsgi.stream import ClientGoneError, Stream

_log = logging.getLogger("hotplate.app")

WSGIApp = Callable[[Environ, Callable[..., Callable[[bytes], object]]], Iterable[bytes]]
Close = Callable[[], object]


class _End(bytes):
    """No block; an object of its own, as all empty bytes are one."""


_END = _End()


class BrokenOffError(RuntimeError):
    """A response cannot be brought to its end after it was begun: its connection must be closed, not reused."""


class Response(Start):
    """Answers one request.

    Args:
        app: the WSGI app.
        scope: the request.
        host: how to reach the loop for a stream.
        receive: as ASGI has it.
        send: as ASGI has it.

    Attributes:
        after: whether `conclude` must be called, in a thread that may block, once the response is sent.
    """

    after = False
    _stream: Stream | None = None
    _left: int | None = None
    _told = False
    _rest: Iterator[bytes] | None = None
    _close: Close | None = None

    def __init__(self, app: WSGIApp, scope: Scope, host: Host, receive: Receive, send: Send) -> None:
        self.method = scope["method"]
        self._app = app
        self._scope = scope
        self._host = host
        self._receive = receive
        self.send = send

    def respond(self, content: Body | None) -> tuple[Message, Message] | None:
        """Run the app; return its response, or None when it has been streamed or nobody waits for it.

        Args:
            content: the request's body, None where there is none.

        Raises:
            BrokenOffError: the app failed when part of the response was sent; its own error is in the log.
        """
        try:
            # Made here and not before the hop: what one thread makes, another's core has to fetch.
            environ = environ_of(self._scope)
            if content is None:
                environ["wsgi.input"] = BytesIO()
            else:
                _add(environ, content)
            result = self._app(environ, self.start)
            kind = type(result)
            if (kind is list or kind is tuple) and self._stream is None:
                return self._whole(b"".join(result))
            self._close = getattr(result, "close", None)
            return self._iterate(result)
        except ClientGoneError:
            self._end()
            return None
        except BaseException as error:  # noqa: BLE001  # what the app raises, sys.exit() included, ends this request only
            return self._failed(error)

    def conclude(self) -> None:
        """Let the app come to its end after the response was sent; does not raise."""
        try:
            if self._rest is not None:
                for block in self._rest:
                    if block:
                        self._surplus()
                        break
        except BaseException as error:  # noqa: BLE001  # as in `respond`, and the client has its answer
            _log.error("Exception on %s, after the response was sent", self, exc_info=error)
        self._end()

    def abandon(self) -> None:
        """Stop streaming, as the server gave the request up; on the loop."""
        if self._stream is not None:
            self._stream.leave()

    def _iterate(self, result: Iterable[bytes]) -> tuple[Message, Message] | None:
        if result is None:
            raise TypeError("The app returned None instead of an iterable of bytes")
        size = self._size(result) if type(result) is FileWrapper else None
        blocks = iter(result)
        if self._stream is None:
            first = next(blocks, _END)
            if len(first) == self.declared and type(first) is bytes and self._as_usual(first, size):
                # Nearly every response takes this exit; the others would, too, but by three more calls.
                self._rest = blocks
                self.after = True
                return self.message(), {"type": "http.response.body", "body": first}
            while not first and first is not _END:
                first = next(blocks, _END)
            if self._fills(first, size, result):
                # A file is not read on, nor a body that nobody gets.
                if size is None and not self.bodiless and first is not _END:
                    self._rest = blocks
                # Of a body that is not asked for, one block does not tell the length.
                messages = self._whole(b"" if self.bodiless else first)
                self.after = True
                return messages
            self._push(first)
        self._flow(blocks)
        self._end()
        return None

    def _as_usual(self, first: bytes, size: int | None) -> bool:
        return bool(first) and size is None and not self.bodiless and self._given == self._snapshot

    def _fills(self, first: bytes, size: int | None, result: object) -> bool:
        """Say whether the first block is all there is to send."""
        self.settle()
        if not isinstance(first, bytes):
            raise TypeError(f"The app's blocks must be bytes, not {type(first).__name__}")
        if self.bodiless or first is _END:
            return True
        if self.declared is not None:
            return len(first) >= self.declared
        return len(first) == size or _alone(result)

    def _whole(self, body: bytes) -> tuple[Message, Message]:
        start = self.message()
        declared = self.declared
        if self.bodiless:
            if declared is None and body and self.method == "HEAD" and self.code not in {204, 304}:
                self.declare(len(body))  # as the GET would be answered
            body = b""
        elif declared is None:
            self.declare(len(body))
        elif len(body) != declared:
            if len(body) < declared:
                self.sent = False
                raise ValueError(f"The app declared {declared} bytes and made {len(body)}")
            self._surplus()
            body = body[:declared]
        return start, {"type": "http.response.body", "body": body}

    def _flow(self, blocks: Iterator[bytes]) -> None:
        for block in blocks:
            if not isinstance(block, bytes):
                raise TypeError(f"The app's blocks must be bytes, not {type(block).__name__}")
            if self._left == 0 and block:
                self._surplus()
                break
            self._push(block)
        if self._stream is not None:
            if self._left:
                raise ValueError(f"The app declared {self.declared} bytes and made {self._left} fewer")
            self._stream.finish(whole=True)

    def write(self, block: bytes, /) -> None:
        """Send a block at once; see `Start.write`."""
        if not isinstance(block, bytes):
            raise TypeError(f"write() takes bytes, not {type(block).__name__}")
        if not self.bodiless:
            self._push(block)

    def _push(self, block: bytes) -> None:
        if self._stream is not None:
            self._stream.push(self._within(block))
        elif block:
            start = self.message()
            self._left = self.declared
            self._stream = Stream(self._host, self._receive, self.send)
            self._stream.open(start, self._within(block))

    def _within(self, block: bytes) -> bytes:
        if self._left is not None:
            if len(block) > self._left:
                self._surplus()
                block = block[: self._left]
            self._left -= len(block)
        return block

    def _size(self, file: FileWrapper) -> int | None:
        """Return how much of a plain file is to be sent, and have it read in large blocks."""
        size = file.remaining()
        if size is None:
            return None
        self.settle()
        file.block_size = max(file.block_size, BLOCK)
        if self.declared is None and self.code not in {204, 304}:
            self.declare(size)
        file.left = self.declared
        return size

    def _surplus(self) -> None:
        if self._told:
            return
        self._told = True
        _log.warning("%s: the body is longer than its declared %s bytes; the rest is not sent", self, self.declared)

    def __str__(self) -> str:
        # Without the query, which may hold secrets, and quoted, as it is the client's text.
        return f"{self.method} {raw_path(self._scope).decode('latin-1')!r}"

    def _failed(self, error: BaseException) -> tuple[Message, Message]:
        """Answer 500 without details, or break off what was begun."""
        _log.error("Exception on %s", self, exc_info=error)
        if self.sent:
            if self._stream is not None:
                self._stream.finish(whole=False)
            self._end()
            raise BrokenOffError(f"The response to {self} was broken off") from error
        self._end()
        text = b"Internal Server Error\n"
        fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
        body = b"" if self.method == "HEAD" else text
        return (
            {"type": "http.response.start", "status": 500, "headers": fields},
            {"type": "http.response.body", "body": body},
        )

    def _end(self) -> None:
        """Call the iterable's close(), once."""
        close, self._close = self._close, None
        if close is not None:
            try:
                close()
            except BaseException as error:  # noqa: BLE001  # as in `conclude`
                _log.error("Exception on %s, in close()", self, exc_info=error)


def _add(environ: Environ, content: Body) -> None:
    environ["wsgi.input"] = content.file
    # It is no longer in chunks, and its length is known: RFC 9112, section 7.1.3.
    if environ.pop("HTTP_TRANSFER_ENCODING", None) or content.length or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(content.length)


def _alone(result: object) -> bool:
    # "if it can determine that the iterable's length is 1": PEP 3333, "Handling the Content-Length Header".
    try:
        return isinstance(result, Sized) and len(result) == 1
    except (TypeError, NotImplementedError):  # it has the method but cannot tell
        return False
