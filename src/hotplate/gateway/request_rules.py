"""What makes a request malformed or ambiguous, as tables of rules with the section each comes from.

Only rules that can be decided from an ASGI scope are here. What the data plane's own parser refuses (bytes outside the
grammar, line folding, differing lengths, versions) is pinned by tests/gateway/test_hygiene.py, not checked again.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping

from hotplate.gateway.refusal import Refusal
from hotplate.gateway.types import Scope

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Methods are case-sensitive and every registered one is upper case, 3 to 17 characters; as gunicorn since 22.0.
_METHOD = re.compile(r"[A-Z0-9!$%&'*+\-.^_`|~]{3,20}")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
_VISIBLE = re.compile(rb"[!-~]*")
# RFC 3986, section 3.2.2, without the comma that it allows in a name: nobody registers one, and lists are joined by it.
_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::([0-9]{0,5}))?")
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")

COMMON_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
REFUSED_METHODS: Mapping[str, Refusal] = {
    "CONNECT": Refusal(501, "CONNECT is for proxies; this is none (RFC 9110, section 9.3.6)."),
    "PRI": Refusal(400, "PRI is reserved for the preface of HTTP/2 (RFC 9113, section 11.6)."),
}

# RFC 9110, section 6.5.1: nothing that frames, routes or authenticates may come after the body it belongs to.
FORBIDDEN_TRAILERS = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range content-type cookie expect "
    b"host max-forwards pragma proxy-authorization range te trailer transfer-encoding upgrade".split()
)
# RFC 9113, section 8.2.2.
CONNECTION_FIELDS = frozenset(b"connection keep-alive proxy-connection transfer-encoding upgrade".split())

ODD_METHOD = Refusal(400, "The method is not a name of 3 to 20 upper-case characters (RFC 9110, section 9.1).")
ASTERISK = Refusal(400, "Only OPTIONS may ask for * (RFC 9112, section 3.2.4).")
NO_PATH = Refusal(400, "The request target is neither a path nor an absolute URI (RFC 9112, section 3.2).")
NOT_ASCII = Refusal(400, "The request target has bytes that must be percent-encoded (RFC 9112, section 3.2).")
BAD_ESCAPE = Refusal(400, "The path has a % without two hex digits, or %00 (RFC 3986, sections 2.1 and 7.3).")
NO_HOST = Refusal(400, "There is no Host field, or it is empty (RFC 9112, section 3.2).")
BAD_HOST = Refusal(400, "The Host field is not a host with an optional port (RFC 9110, section 7.2).")
BAD_LENGTH = Refusal(400, "Content-Length is not one decimal number (RFC 9110, section 8.6).")
BOTH_LENGTHS = Refusal(400, "Content-Length beside Transfer-Encoding (RFC 9112, section 6.1).")
BAD_CODING = Refusal(400, "chunked must be applied once and last (RFC 9112, section 6.1).")
UNKNOWN_CODING = Refusal(501, "chunked is the only transfer coding understood here (RFC 9112, section 6.1).")
OLD_CODING = Refusal(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112, section 6.1).")
BAD_EXPECT = Refusal(417, "100-continue is the only expectation understood here (RFC 9110, section 10.1.1).")
BAD_TRAILER = Refusal(400, "A field announced in Trailer may not come after the body (RFC 9110, section 6.5.1).")
BAD_TE = Refusal(400, "HTTP/2 allows only TE: trailers (RFC 9113, section 8.2.2).")
BAD_NAME = Refusal(400, "A field name is not a token (RFC 9110, section 5.1).")
HOP_FIELD = Refusal(400, "A field that describes an HTTP/1 connection in HTTP/2 (RFC 9113, section 8.2.2).")
BAD_HANDSHAKE = Refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64 (RFC 6455, section 4.2.1).")
HANDSHAKE_BODY = Refusal(400, "A WebSocket handshake is a GET without a body (RFC 6455, section 4.1).")
OLD_UPGRADE = Refusal(400, "HTTP/1.0 has no Upgrade (RFC 9110, section 7.8).")


def _repeated(field: str) -> Refusal:
    return Refusal(400, f"{field} is given more than once (RFC 9110, section 5.3).")


# Fields of one value whose repetition lets two readers see two different requests.
SINGLE: Mapping[bytes, Refusal] = {
    b"host": Refusal(400, "There is more than one Host field (RFC 9112, section 3.2)."),
    b"content-length": BAD_LENGTH,
    b"transfer-encoding": BAD_CODING,
    b"content-type": _repeated("Content-Type"),
    b"authorization": _repeated("Authorization"),
    b"expect": _repeated("Expect"),
    b"sec-websocket-key": _repeated("Sec-WebSocket-Key"),
}


def method_fault(method: str) -> Refusal | None:
    """Tell what is wrong with a method outside `COMMON_METHODS`."""
    return REFUSED_METHODS.get(method) or (None if _METHOD.fullmatch(method) else ODD_METHOD)


def target_fault(method: str, path: bytes, query: bytes) -> Refusal | None:
    """Tell what is wrong with a request target, given as received, before decoding.

    A stray `%` in a query is let through, as nginx, Apache and browsers do (`?discount=50%`); in a path it is refused,
    as nginx and Apache do, because two decoders need not agree on what it names.
    """
    if path == b"*":
        return None if method == "OPTIONS" else ASTERISK
    if not path.startswith(b"/"):
        return NO_PATH
    if not (_VISIBLE.fullmatch(path) and _VISIBLE.fullmatch(query)):
        return NOT_ASCII
    return BAD_ESCAPE if _BAD_ESCAPE.search(path) else None


def host_fault(value: bytes) -> Refusal | None:
    """Tell what is wrong with a host and optional port, as Host and the forwarded headers give it."""
    if not value:
        return NO_HOST
    parts = _HOST.fullmatch(value)
    if parts is None or int(parts[2] or 0) > 65535:
        return BAD_HOST
    if parts[1] is not None:
        try:
            ipaddress.IPv6Address(parts[1].decode())
        except ValueError:
            return BAD_HOST
    return None


def _host(value: bytes, scope: Scope) -> Refusal | None:
    if not value and scope.get("http_version") in {"1", "1.0"}:
        return None
    return host_fault(value)


def _content_length(value: bytes, _scope: Scope) -> Refusal | None:
    return None if value.isdigit() else BAD_LENGTH


def _transfer_encoding(value: bytes, scope: Scope) -> Refusal | None:
    if value.lower() == b"chunked":
        return OLD_CODING if scope.get("http_version") in {"1", "1.0"} else None
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    return UNKNOWN_CODING if codings[-1] == b"chunked" and codings.count(b"chunked") == 1 else BAD_CODING


def _expect(value: bytes, _scope: Scope) -> Refusal | None:
    return None if value.lower() == b"100-continue" else BAD_EXPECT


def _trailer(value: bytes, _scope: Scope) -> Refusal | None:
    names = [name.strip(b" \t").lower() for name in value.split(b",")]
    return BAD_TRAILER if not FORBIDDEN_TRAILERS.isdisjoint(names) else None


def _te(value: bytes, scope: Scope) -> Refusal | None:
    return BAD_TE if scope.get("http_version") == "2" and value.lower() != b"trailers" else None


def _websocket_key(value: bytes, scope: Scope) -> Refusal | None:
    return BAD_HANDSHAKE if scope["type"] == "websocket" and not _WEBSOCKET_KEY.fullmatch(value) else None


FieldRule = Callable[[bytes, Scope], Refusal | None]

# Fields whose value is looked at in every request that has them.
FIELD_RULES: Mapping[bytes, FieldRule] = {
    b"host": _host,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"expect": _expect,
    b"trailer": _trailer,
    b"te": _te,
    b"sec-websocket-key": _websocket_key,
}


def message_fault(fields: Mapping[bytes, bytes], scope: Scope) -> Refusal | None:
    """Tell what is wrong with the whole of a request whose fields are each fine by themselves.

    Args:
        fields: at least those of its fields that `FIELD_RULES` knows.
        scope: the request.
    """
    is_old = scope.get("http_version") in {"1", "1.0"}
    if b"host" not in fields and not is_old:
        return NO_HOST
    if b"transfer-encoding" in fields and b"content-length" in fields:
        return BOTH_LENGTHS
    if scope["type"] != "websocket":
        return None
    if is_old:
        return OLD_UPGRADE
    has_body = b"transfer-encoding" in fields or fields.get(b"content-length", b"").strip(b"0")
    return HANDSHAKE_BODY if has_body else None
