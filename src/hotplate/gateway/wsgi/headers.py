"""The status and header fields an app gives to `start_response`: checked, and turned into ASGI's bytes.

Refused, because a client or proxy would read them as something else: control characters, names that are no token, text
that is not Latin-1, contradictory lengths. Dropped, with a word in the log once per name: fields about the connection,
which is not the app's (PEP 3333, "Other HTTP Features"; RFC 9110, section 7.6.1); gunicorn drops them, too.
"""

from __future__ import annotations

import logging
import re

_log = logging.getLogger("hotplate.app")

Encoded = list[tuple[bytes, bytes]]
CONTENT_LENGTH = b"content-length"
_OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_DROPPED = b""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # token: RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # field-value: RFC 9110, section 5.5
_STATUS = re.compile(r"[2-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")  # an interim 1xx is no answer

# Fields that are the same in most responses are encoded once; their values hold no secrets and are few.
_MOST_PAIRS = 256
_LONGEST_PAIR = 128
_ALIKE = frozenset(
    {
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-allow-origin",
        b"allow",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-security-policy",
        b"content-type",
        b"cross-origin-opener-policy",
        b"permissions-policy",
        b"pragma",
        b"referrer-policy",
        b"server",
        b"strict-transport-security",
        b"vary",
        b"x-content-type-options",
        b"x-frame-options",
        b"x-xss-protection",
    }
)
_pairs: dict[tuple[str, str], tuple[bytes, bytes]] = {}

_MOST_KEPT = 512  # names and statuses are the app's to choose, so few; bounded all the same
_names: dict[str, bytes] = {}
_statuses: dict[str, int] = {}


def code_of(status: str) -> int:
    """Return the code of a status line's text.

    Raises:
        TypeError: it is no str.
        ValueError: it is not three digits from 200, a space and a reason.

    Example:
        >>> code_of("404 Not Found")
        404
    """
    code = _statuses.get(status)
    if code is None:
        if not isinstance(status, str):
            raise TypeError(f"The status must be a str such as '200 OK', not {status!r}")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"The status must read like '200 OK', not {status!r}")
        code = int(status[:3])
        if len(_statuses) < _MOST_KEPT:
            _statuses[status] = code
    return code


def _learn(name: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"The name of a header field must be a str, not {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header field")
    encoded = name.lower().encode("ascii")
    if encoded == CONTENT_LENGTH:
        encoded = CONTENT_LENGTH  # the very object, which `encode` looks for
    if encoded in _OF_THE_CONNECTION:
        _log.warning("The app sends %s, which is the server's to decide (PEP 3333); the field is left out", name)
        encoded = _DROPPED
    if len(_names) < _MOST_KEPT:
        _names[name] = encoded
    return encoded


def encode(headers: list[tuple[str, str]]) -> tuple[Encoded, int | None]:
    """Return the fields as ASGI wants them, and the declared length of the body, if any.

    Raises:
        TypeError: a name or value is no str.
        ValueError: a name or value cannot be sent; the value is not quoted, as it may be a secret.

    Example:
        >>> encode([("Content-Length", "5")])
        ([(b'content-length', b'5')], 5)
    """
    encoded: Encoded = []
    declared: int | None = None
    known, add = _pairs.get, encoded.append
    for header in headers:
        pair = known(header) or _encode_one(*header)
        if pair[0] is CONTENT_LENGTH:
            length = int(pair[1])
            if declared is not None:
                if length != declared:
                    raise ValueError("Two Content-Length fields contradict each other")
                continue
            declared = length
        if pair[0]:
            add(pair)
    return encoded, declared


def _encode_one(name: str, value: str) -> tuple[bytes, bytes]:
    key = _names.get(name)
    if key is None:
        key = _learn(name)
    try:
        # Asking whether all is printable answers for nearly all values, at a fifth of the expression's cost.
        if not value.isprintable() and not _VALUE.fullmatch(value):
            raise ValueError(f"The value of {name} holds control characters, or such as are not in Latin-1")
        pair = key, value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"The value of {name} holds characters that are not in Latin-1") from None
    except AttributeError:
        raise TypeError(f"The value of {name} must be a str, not {type(value).__name__}") from None
    if key is CONTENT_LENGTH and not pair[1].isdigit():
        raise ValueError(f"Content-Length must be digits, not {value!r}")
    if key in _ALIKE and len(value) <= _LONGEST_PAIR and len(_pairs) < _MOST_PAIRS:
        _pairs[name, value] = pair
    return pair
