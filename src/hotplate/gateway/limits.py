"""How large a request may be: its request line, its header section, and the body it announces or streams.

The data plane has limits of its own in front of these: 100 fields (431), a target of 65,534 bytes (414), and a buffer
for the head (431) that is only as exact as its last read. Here they are exact and can be set.
"""

from __future__ import annotations

from typing import NamedTuple

from hotplate.gateway.refusal import Refusal
from hotplate.gateway.types import Scope
from hotplate.settings import Settings

# What the request line has besides method and target: two spaces and "HTTP/1.1" (RFC 9112, section 3).
_REST_OF_LINE = 10
# ": " and the line's end, which senders write around each field.
AROUND_FIELD = 4
#: Fields whose names are this long at most need not be measured one by one to be known to be within the limit.
LONGEST_MEASURED = 64


class Limits(NamedTuple):
    """The limits of a request, in bytes where they are not a count.

    Args:
        request_line: method, target and version; RFC 9112, section 3 asks servers for at least 8000.
        fields: number of header fields.
        header_size: all header fields together.
        body: the body; 0 for no limit.
    """

    request_line: int = 8190
    fields: int = 100
    header_size: int = 64 * 1024
    body: int = 64 * 1024**2

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Take the limits from the settings that carry their names."""
        return cls(
            settings.limit_request_line,
            settings.limit_request_fields,
            settings.limit_header_size,
            settings.limit_body,
        )


def head_excess(scope: Scope, limits: Limits, value_bytes: int) -> Refusal | None:
    """Tell whether the request line or the header section is too large.

    Args:
        scope: the request.
        limits: what is allowed.
        value_bytes: the lengths of all field values, which the caller has from its own pass over the fields. The names
            are measured only where they could matter, provided that none is longer than `LONGEST_MEASURED` without
            being part of `value_bytes`.
    """
    raw_path: bytes = scope.get("raw_path") or b""
    query: bytes = scope["query_string"]
    target = len(raw_path) + len(query) + bool(query)
    if len(scope.get("method", "GET")) + target + _REST_OF_LINE > limits.request_line:
        return Refusal(414, f"The request line is longer than {limits.request_line} bytes (RFC 9110, section 15.5.15).")
    headers = scope["headers"]
    if len(headers) > limits.fields:
        return Refusal(431, f"There are more than {limits.fields} header fields (RFC 6585, section 5).")
    if value_bytes + len(headers) * (LONGEST_MEASURED + AROUND_FIELD) <= limits.header_size:
        return None
    exact = sum(len(name) + len(value) + AROUND_FIELD for name, value in headers)
    if exact <= limits.header_size:
        return None
    return Refusal(431, f"The header fields are larger than {limits.header_size} bytes (RFC 6585, section 5).")


def body_excess(declared: bytes, limits: Limits) -> Refusal | None:
    """Tell whether a Content-Length, already known to be a number, is over the limit.

    More digits than any limit has are never converted: that takes quadratic time.
    """
    digits = declared.lstrip(b"0") or b"0"
    if not limits.body or (len(digits) <= 20 and int(digits) <= limits.body):
        return None
    return too_large(limits)


def too_large(limits: Limits) -> Refusal:
    """Return the refusal of a body above the limit."""
    return Refusal(413, f"The body is larger than {limits.body} bytes (RFC 9110, section 15.5.14).")
