"""`start_response` (PEP 3333, "The start_response() Callable"): what the app says before its body."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from hotplate.gateway.types import Message
from hotplate.gateway.wsgi.headers import CONTENT_LENGTH, Encoded, code_of, encode

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_BODILESS = frozenset({204, 304})  # RFC 9110, section 6.4.1


class Start:
    """Holds status and header fields until the first byte of the body is sent.

    Attributes:
        method: of the request; a HEAD is answered without a body. Set by whoever makes this.
        code: the status code; 0 until the app has called `start`.
        declared: the body's length in bytes, if the app gave it.
        bodiless: whether the answer has no body, whatever the app returns.
        sent: whether the fields can no longer be replaced.
    """

    # Defaults of the class and not of each instance: one is made per request, and most never change.
    method = "GET"
    code = 0
    declared: int | None = None
    bodiless = False
    sent = False
    _fields: Encoded
    _given: list[tuple[str, str]]
    _snapshot: list[tuple[str, str]]

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        """Be the app's `start_response`.

        Args:
            status: such as "200 OK".
            headers: name and value of each field; the list may change until the first byte of the body.
            exc_info: of the error that this answer reports in place of the one begun; raised when that is too late.

        Raises:
            RuntimeError: called again without `exc_info`.
            TypeError: something is no str.
            ValueError: the status or a field cannot be sent.
        """
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # its traceback holds this frame
        elif self.code:
            raise RuntimeError("start_response() was called again without exc_info")
        if not isinstance(headers, list):
            raise TypeError(f"The header fields must be a list of pairs, not {type(headers).__name__}")
        self._fields, self.declared = encode(headers)
        self._given, self._snapshot = headers, headers.copy()
        self.code = code = code_of(status)
        self.bodiless = code in _BODILESS or self.method == "HEAD"
        return self.write

    def write(self, block: bytes, /) -> None:
        """Be what `start_response` returns."""
        raise NotImplementedError

    def settle(self) -> None:
        """Take the header fields as the app has left them; raises `RuntimeError` where it has given none."""
        if not self.code:
            raise RuntimeError("The app returned its body without calling start_response()")
        if self._given != self._snapshot:
            self._fields, self.declared = encode(self._given)
            self._snapshot = self._given.copy()

    def message(self) -> Message:
        """Return the start of the response; nothing can be replaced after that."""
        self.settle()
        if self.code == 204 and self.declared is not None:  # RFC 9110, section 8.6
            self._fields, self.declared = [field for field in self._fields if field[0] != CONTENT_LENGTH], None
        self.sent = True
        return {"type": "http.response.start", "status": self.code, "headers": self._fields}

    def declare(self, length: int) -> None:
        """Add the length of the body in bytes, which the app did not give."""
        self._fields.append((CONTENT_LENGTH, b"%d" % length))
        self.declared = length
