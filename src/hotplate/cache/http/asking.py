"""What a request allows: may it be answered from cache, may its response be stored?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from struct import Struct

import msgspec

from hotplate.cache.http import directives
from hotplate.cache.http.directives import Directives
from hotplate.cache.http.profile import Profile
from hotplate.cache.http.reasons import Reason

# What an app, or a middleware in front of it, may believe in about a request's URL although it is no part of the URL:
# it becomes part of the key, so that who forges it reads nobody's page but its own (web cache poisoning). Addresses
# (X-Forwarded-For) say nothing about the URL.
_REWRITING = frozenset(
    {
        b"front-end-https",
        b"x-forwarded-host",
        b"x-forwarded-path",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-forwarded-uri",
        b"x-host",
        b"x-http-host-override",
        b"x-original-host",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-scheme",
        b"x-script-name",
        b"x-url-scheme",
    }
)
_OVERRIDING = frozenset({b"x-http-method", b"x-http-method-override", b"x-method-override"})
# What clients and the proxies that log people in say who somebody is, besides Authorization.
_IDENTIFYING = frozenset(
    {
        b"cf-access-jwt-assertion",
        b"proxy-authorization",
        b"remote-user",
        b"x-access-token",
        b"x-amzn-oidc-data",
        b"x-amzn-oidc-identity",
        b"x-api-key",
        b"x-auth-request-access-token",
        b"x-auth-request-email",
        b"x-auth-request-user",
        b"x-auth-token",
        b"x-authenticated-user",
        b"x-client-cert",
        b"x-forwarded-access-token",
        b"x-forwarded-client-cert",
        b"x-forwarded-email",
        b"x-forwarded-user",
        b"x-goog-iap-jwt-assertion",
        b"x-ms-client-principal",
        b"x-remote-user",
        b"x-session-token",
        b"x-ssl-client-cert",
        b"x-user-id",
    }
)
_FOR_THE_APP = frozenset({b"if-match", b"if-unmodified-since", b"expect"})
_CONDITIONS = frozenset({b"if-none-match", b"if-modified-since"})
_READ = (
    _REWRITING
    | _OVERRIDING
    | _FOR_THE_APP
    | _CONDITIONS
    | _IDENTIFYING
    | {b"authorization", b"cache-control", b"cookie", b"pragma", b"range"}
)
_WANTS = frozenset({b"max-age", b"min-fresh", b"max-stale"})
_lengths = Struct(">II").pack


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What a request allows.

    Args:
        lookup: whether it may be answered from cache.
        store: whether its response may be stored.
        reason: why not, where one of them is false.
        only_if_cached: whether it wants 504 rather than wait for the app (RFC 9111, section 5.2.1.7).
        has_credentials: whether it has an Authorization field.
        is_personal: whether it may be answered only from what is explicitly for everyone: it has credentials, a
            cookie that counts, or another field that says who somebody is. It should not queue behind others for a
            response that nobody may share.
        has_condition: whether the client has a copy: If-None-Match or If-Modified-Since.
        has_range: whether it asks for a part.
        wants: what its Cache-Control says, where that counts; None for nothing.
        extra: fields that an app may take for part of the URL, for `key.primary`.
    """

    lookup: bool
    store: bool
    reason: Reason = Reason.NONE
    only_if_cached: bool = False
    has_credentials: bool = False
    is_personal: bool = False
    has_condition: bool = False
    has_range: bool = False
    wants: Directives | None = None
    extra: bytes = b""


PLAIN = Passage(lookup=True, store=True)
"""A request that has nothing special about it, such as one of our own that refreshes an entry."""

_PLAIN_HEAD = Passage(lookup=True, store=False, reason=Reason.HEAD)
_BYPASS = {
    reason: Passage(lookup=False, store=False, reason=reason)
    for reason in (Reason.METHOD, Reason.BODY, Reason.HOST, Reason.OVERRIDE, Reason.PRECONDITION)
}


def ask(
    method: str,
    fields: Iterable[tuple[bytes, bytes]],
    profile: Profile,
    *,
    has_body: bool = False,
    host: bytes = b"",
) -> Passage:
    """Return what a request allows; about half a microsecond for one without cookies and conditions.

    Args:
        method: as sent.
        fields: with lower-case names.
        profile: what is allowed.
        has_body: whether it has, or announces, a body.
        host: value of its Host field.

    Example:
        >>> from hotplate.cache.http.profile import safe
        >>> ask("GET", [(b"host", b"a"), (b"accept", b"*/*")], safe()) is PLAIN
        True
        >>> ask("POST", [], safe()).reason.text
        'only GET and HEAD are answered from cache'
    """
    if method not in {"GET", "HEAD"}:
        return _BYPASS[Reason.METHOD]
    if has_body:
        return _BYPASS[Reason.BODY]
    if profile.hosts and _plain_host(host) not in profile.hosts:
        return _BYPASS[Reason.HOST]
    found = [field for field in fields if field[0] in _READ]
    if found:
        return _special(method, found, profile, host)
    return PLAIN if method == "GET" else _PLAIN_HEAD


def _special(method: str, found: list[tuple[bytes, bytes]], profile: Profile, host: bytes) -> Passage:
    names = {name for name, _ in found}
    if names & _OVERRIDING:
        return _BYPASS[Reason.OVERRIDE]
    if names & _FOR_THE_APP:
        return _BYPASS[Reason.PRECONDITION]
    control = _control(found, names)
    flags = control.flags
    has_credentials = b"authorization" in names
    is_personal = not profile.shares_cookies and (
        has_credentials
        or not names.isdisjoint(_IDENTIFYING)
        or (b"cookie" in names and _cookie_counts(found, profile.ignored_cookies))
    )
    no_store = b"no-store" in flags
    reason = Reason.REQUEST_NO_STORE if no_store else Reason.HEAD if method == "HEAD" else Reason.NONE
    wants = control if profile.heeds_client and (b"no-cache" in flags or control.seconds.keys() & _WANTS) else None
    return Passage(
        # A stored response may answer no-store; who heeds clients in all they want sends them to the app.
        lookup=not (no_store and profile.heeds_client),
        store=reason is Reason.NONE,
        reason=reason,
        only_if_cached=b"only-if-cached" in flags,
        has_credentials=has_credentials,
        is_personal=is_personal,
        has_condition=not names.isdisjoint(_CONDITIONS),
        has_range=b"range" in names,
        wants=wants,
        extra=b"" if names.isdisjoint(_REWRITING) else _rewriting(found, host),
    )


def _control(found: list[tuple[bytes, bytes]], names: set[bytes]) -> Directives:
    if b"cache-control" in names:
        return directives.parse([value for name, value in found if name == b"cache-control"])
    if b"pragma" in names:  # counts only where there is no Cache-Control (RFC 9111, section 5.4)
        said = directives.parse([value for name, value in found if name == b"pragma"])
        return Directives(said.flags & {b"no-cache"})
    return directives.NONE


def _rewriting(found: list[tuple[bytes, bytes]], host: bytes) -> bytes:
    # A proxy that is believed has given the request its scheme and host: where it says the same again, the key has it.
    known = {(b"x-forwarded-proto", b"http"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", host)}
    told = [field for field in found if field[0] in _REWRITING and field not in known]
    return b"".join(_lengths(len(name), len(value)) + name + value for name, value in told)


def _cookie_counts(found: list[tuple[bytes, bytes]], ignored: tuple[bytes, ...]) -> bool:
    if not ignored:
        return True
    is_ignored = _pattern(ignored).fullmatch
    cookies = (part.strip(b" \t") for name, value in found if name == b"cookie" for part in value.split(b";"))
    return any(cookie and not is_ignored(cookie) for cookie in cookies)


@lru_cache(maxsize=16)
def _pattern(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    choices = b"|".join(b"[^=]*".join(map(re.escape, name.split(b"*"))) for name in names)
    # A cookie without "=" has a value and no name, or the other way round: it is known by neither.
    return re.compile(rb"(?:%s)[ \t]*=.*" % choices, re.DOTALL)


@lru_cache(maxsize=1024)
def _plain_host(host: bytes) -> bytes:
    host = host.lower()
    for port in (b":80", b":443"):
        if host.endswith(port):
            return host[: -len(port)]
    return host
