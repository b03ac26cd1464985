"""Lets only well-formed requests pass, within their limits, and mends the scope where the data plane leaves ASGI.

Two parsers that read one message differently are how requests are smuggled (RFC 9112, section 11.2), so nothing is
guessed: what has two readings is refused and the connection closed. One pass over the fields decides for rules and
limits alike; names that no rule knows are learnt, so that the fields of every day cost one look-up each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hotplate.gateway.forwarded_fields import is_forwarding
from hotplate.gateway.heads import LONGEST, Heads
from hotplate.gateway.limits import AROUND_FIELD, LONGEST_MEASURED, Limits, body_excess, head_excess
from hotplate.gateway.refusal import HasLoop, Refusal, refuse, refuse_unread
from hotplate.gateway.request_rules import (
    BAD_NAME,
    COMMON_METHODS,
    CONNECTION_FIELDS,
    FIELD_RULES,
    HOP_FIELD,
    SINGLE,
    TOKEN,
    message_fault,
    method_fault,
    target_fault,
)
from hotplate.gateway.scopes import raw_path
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

Fields = list[tuple[bytes, bytes]]

# Names are the client's to choose, so only so many are learnt: some 60 KiB. Others cost a regular expression each time.
_MOST_LEARNT = 512
_MEASURED_AROUND = LONGEST_MEASURED + AROUND_FIELD
_plain: set[bytes] = set(
    b"accept accept-charset accept-encoding accept-language cache-control connection cookie dnt if-match "
    b"if-modified-since if-none-match if-range if-unmodified-since keep-alive origin pragma priority range referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"upgrade upgrade-insecure-requests user-agent x-forwarded-for x-forwarded-proto x-requested-with".split()
)
_most_plain = len(_plain) + _MOST_LEARNT
# Host fields that passed the rule; a site has few, an attacker may send many.
_MOST_HOSTS = 256
_BODILESS = frozenset(("GET", "HEAD"))  # which rarely have a body; one that is announced is a field to be looked at
_hosts: set[tuple[bytes, bytes]] = set()
_servers: dict[tuple[str, str], tuple[str, int | None]] = {}


def hygiene(
    app: ASGIApp,
    limits: Limits,
    host: HasLoop | None = None,
    refused: Callable[[], None] = lambda: None,
    plain: ASGIApp | None = None,
) -> ASGIApp:
    """Return `app` behind the rules of well-formed requests.

    Needs neither loop nor thread. Marks requests that announce a body with `hotplate.body` in the scope, and chunked
    ones with `hotplate.trailers`: whether they announce trailers, which `GuardedReceive` reads.

    Args:
        app: the next layer.
        limits: sizes above which a request is refused with 413, 414 or 431.
        host: takes the refusal of a large body to the loop, so that a client which is sending gets to read it.
        refused: told of each refusal.
        plain: the next layer of plain requests, which have no body and no word of a proxy (see `heads`), and whose
            scopes it has to see to (`corrected`); `app` if None.
    """
    heads, plain = Heads(), plain or corrected(app)
    # The longest method has 20 characters; a target near the limit is measured exactly.
    short_target = limits.request_line - 32
    few, small = limits.fields, limits.header_size

    def clean(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return app(scope, receive, send)
        headers = scope["headers"]
        path, query = scope.get("raw_path") or b"", scope["query_string"]
        # What nearly every request is, in one expression; `_found` comes to the same, and to all else.
        is_usual = (
            scope.get("http_version") == "1.1"
            and scope.get("method") in COMMON_METHODS
            and path[:1] == b"/"
            and 37 not in path
            and path.isascii()
            and query.isascii()
            and len(path) + len(query) <= short_target
        )
        may_be_plain = is_usual and scope["type"] == "http" and scope["method"] in _BODILESS
        if may_be_plain and (head := heads.find(headers)) is not None:
            scope["hotplate.head"] = head
            return plain(scope, receive, send)
        value_bytes, notable = sift(headers)
        refusal = None
        if (
            is_usual
            and len(notable) == 1
            and notable[0] in _hosts
            and len(headers) <= few
            and value_bytes + len(headers) * _MEASURED_AROUND <= small
        ):
            if may_be_plain and value_bytes <= LONGEST and not any(is_forwarding(name) for name, _value in headers):
                heads.learn(headers)
        else:
            refusal = _found(scope, limits, value_bytes, notable)
        if refusal is None:
            correct(scope)
            return app(scope, receive, send)
        refused()
        if refusal.status == 413 and host is not None:
            return refuse_unread(scope, receive, send, *refusal, host)
        return refuse(scope, send, *refusal)

    return clean


def fault(scope: Scope, limits: Limits | None = None) -> Refusal | None:
    """Tell why `scope` must not reach an app, or None where nothing is wrong with it.

    Fields that are to be dropped (names with an underscore, an empty Host of HTTP/1.0) are taken out of the scope.

    Args:
        scope: an HTTP or WebSocket scope, as the data plane or another ASGI server gives it.
        limits: sizes to check too; without them only the form is.

    Example:
        >>> scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
        ...          "http_version": "1.1", "headers": [(b"host", b"a"), (b"host", b"b")]}
        >>> fault(scope).text
        'There is more than one Host field (RFC 9112, section 3.2).'
    """
    return _found(scope, limits, *sift(scope["headers"]))


def sift(headers: Fields) -> tuple[int, Fields]:
    """Return the length of all values together, and the fields that have to be looked at."""
    value_bytes = 0
    notable = []
    plain = _plain
    for name, value in headers:
        value_bytes += len(value)
        if name not in plain:
            notable.append((name, value))
            if len(name) > LONGEST_MEASURED:
                value_bytes += len(name)
    return value_bytes, notable


def _found(scope: Scope, limits: Limits | None, value_bytes: int, notable: Fields) -> Refusal | None:
    excess = head_excess(scope, limits, value_bytes) if limits is not None else None
    return excess or _line_fault(scope) or _fields_fault(scope, notable, limits)


def _line_fault(scope: Scope) -> Refusal | None:
    method = scope.get("method", "GET")
    path = raw_path(scope)
    return (
        (None if method in COMMON_METHODS else method_fault(method))
        or target_fault(method, path, scope["query_string"])
        or (_as_http2(scope) if scope.get("http_version") == "2" else None)
    )


def _fields_fault(scope: Scope, notable: Fields, limits: Limits | None) -> Refusal | None:
    fields = dict(notable)
    if len(fields) != len(notable) and (refusal := _repetition(notable)):
        return refusal
    dropped: Fields = []
    for field in notable:
        name, value = field
        rule = FIELD_RULES.get(name)
        if rule is not None:
            if field not in _hosts and (refusal := rule(value, scope)):
                return refusal
        elif name not in SINGLE and (refusal := _learn(field, dropped)):
            return refusal
    return message_fault(fields, scope) or _settled(scope, fields, dropped, limits)


def _repetition(notable: Fields) -> Refusal | None:
    names = [name for name, _value in notable]
    return next((refusal for name, refusal in SINGLE.items() if names.count(name) > 1), None)


def _settled(scope: Scope, fields: dict[bytes, bytes], dropped: Fields, limits: Limits | None) -> Refusal | None:
    """Do what is done only for a well-formed request: look at its length, remember its host, drop what is to be."""
    length = fields.get(b"content-length")
    if length is not None and limits is not None and (refusal := body_excess(length, limits)):
        return refusal
    if b"transfer-encoding" in fields:
        scope["hotplate.trailers"] = b"trailer" in fields
        scope["hotplate.body"] = True
    elif length is not None and length.strip(b"0"):
        scope["hotplate.body"] = True
    host = fields.get(b"host")
    if host:
        if len(_hosts) < _MOST_HOSTS:
            _hosts.add((b"host", host))
    elif host is not None:
        dropped.append((b"host", host))  # HTTP/1.0 without a Host: the data plane invents an empty one
    if dropped:
        scope["headers"] = [field for field in scope["headers"] if field not in dropped]
    return None


def _learn(field: tuple[bytes, bytes], dropped: Fields) -> Refusal | None:
    name = field[0]
    if not TOKEN.fullmatch(name):
        return BAD_NAME
    if 95 in name:
        # `X_Real_Ip` and `X-Real-Ip` are one variable to WSGI, and so forge each other; nginx drops the former, too.
        dropped.append(field)
    elif len(name) <= LONGEST_MEASURED and len(_plain) < _most_plain:
        _plain.add(name)
    return None


def _as_http2(scope: Scope) -> Refusal | None:
    headers = scope["headers"]
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) > 1:
        # HTTP/2 may split it for compression; apps know only the joined form (RFC 9113, section 8.2.3).
        others = [field for field in headers if field[0] != b"cookie"]
        scope["headers"] = [*others, (b"cookie", b"; ".join(cookies))]
    return None if CONNECTION_FIELDS.isdisjoint(name for name, _value in headers) else HOP_FIELD


def corrected(app: ASGIApp) -> ASGIApp:
    """Return `app` with its scopes mended, see `correct`."""

    def mended(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        correct(scope)
        return app(scope, receive, send)

    return mended


def correct(scope: Scope) -> None:
    """Mend what Granian 2.8 gives otherwise than the ASGI specification has it, in place.

    Ports are text there, HTTP/1.0 is "1", a peer on a Unix socket is an empty host with port 0, and `root_path` is
    missing. Scopes of other servers have none of this and stay as they are.
    """
    client = scope.get("client")
    if client is None or type(client[1]) is not str:
        return
    host, port = client
    scope["client"] = (host, int(port)) if host else None
    server = scope["server"]
    scope["server"] = _servers.get(server) or _server(server)
    scope["root_path"] = ""
    if scope["http_version"] == "1":
        scope["http_version"] = "1.0"


def _server(server: tuple[str, str]) -> tuple[str, int | None]:
    host, port = server
    fixed = (host, int(port) or None)
    if len(_servers) < _MOST_HOSTS:
        _servers[server] = fixed
    return fixed
