"""Asks the app for a page through the running instance, and has the policy judge the answer: why is it not kept?"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import msgspec

from hotplate.cache.entry import Entry
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.profile import Profile, Rule
from hotplate.cache.http.reasons import Reason
from hotplate.cache.key import Url
from hotplate.cache.policy import Passage, judge
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.records import helped

_PATIENCE = 60.0  # seconds for the app's answer
# What decides about caching; the values of cookies are nobody's business.
_SHOWN = ("cache-control", "cdn-cache-control", "expires", "age", "vary", "set-cookie", "etag", "last-modified")
_ADVICE = {
    Reason.NO_FRESHNESS: "Cache-Control: public, max-age=60 from the app, @hotplate.cached on the view, or a rule:"
    " --cache-routes '{path} ttl=60s'",
    Reason.COOKIE: "Cache-Control: public, or s-maxage, if the page is the same for everybody;"
    " --cache-ignore-cookies for cookies that the app never reads",
    Reason.AUTHORIZATION: "Cache-Control: public, or s-maxage, if the page is the same for everybody",
    Reason.SET_COOKIE: "set the cookie on other pages only; with Flask, do not touch the session on this one",
    Reason.PRIVATE: "leave private out, if the page is the same for everybody",
    Reason.NO_STORE: "leave no-store out, if the page is the same for everybody",
    Reason.NO_CACHE: "max-age=60 in place of no-cache, if the page may be that old",
    Reason.VARY_STAR: "Vary with the names of the request's fields that matter",
}


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What the app answers now, and what becomes of it."""

    status: Annotated[int, helped("status of the answer")]
    seconds: Annotated[float, helped("how long it took")]
    kept: Annotated[bool, helped("whether the cache keeps such an answer")]
    why: Annotated[str, helped("why not; empty where it does")] = ""
    lifetime: Annotated[float, helped("seconds for which it is fresh")] = 0.0
    cache_status: Annotated[str, helped("Cache-Status of the answer; empty for none")] = ""
    fields: Annotated[
        tuple[tuple[str, str], ...], helped("fields of the answer that decide; of cookies, only their names")
    ] = ()
    advice: Annotated[str, helped("what would have it kept, if that is right for the page")] = ""


class Judge(NamedTuple):
    """What an answer is judged by."""

    passage: Passage
    profile: Profile
    rule: Rule | None


def probe(binds: tuple[str, ...], url: Url, fields: list[tuple[bytes, bytes]], by: Judge) -> Probe:
    """Ask for a page, as a client would, and judge the answer.

    Args:
        binds: where the instance listens.
        url: of the page.
        fields: of the request.
        by: what the answer is judged by.

    Raises:
        HotplateError: FAILED; the instance does not answer.
    """
    began = time.monotonic()
    try:
        status, answered = _get(binds, url, fields)
    except (OSError, http.client.HTTPException) as problem:
        raise HotplateError(
            f"ask {url.host.decode('latin-1')} for {url.path.decode('latin-1')[:200]}",
            f"the instance does not answer ({str(problem) or type(problem).__name__})",
            "`hotplate status` says how it goes.",
            code=ExitCode.FAILED,
        ) from None
    seconds = time.monotonic() - began
    told = [value.decode("latin-1") for name, value in answered if name == b"cache-status"]
    judged = judge(by.passage, Response(status, answered, time.time(), seconds), by.profile, by.rule)
    shown = tuple((name.decode("latin-1"), _shown(name, value)) for name, value in answered if name.decode() in _SHOWN)
    found = Probe(status=status, seconds=seconds, kept=True, cache_status=next(iter(told), ""), fields=shown)
    if isinstance(judged, Entry):
        return msgspec.structs.replace(found, lifetime=max(0.0, judged.lifetime - judged.age))
    advice = _ADVICE.get(judged.reason, "").replace("{path}", url.path.decode("latin-1"))
    return msgspec.structs.replace(found, kept=False, why=judged.reason.text, advice=advice)


def _shown(name: bytes, value: bytes) -> str:
    text = value.decode("latin-1")
    return f"{text.partition('=')[0]}=..." if name == b"set-cookie" else text[:300]


def _get(binds: tuple[str, ...], url: Url, fields: list[tuple[bytes, bytes]]) -> tuple[int, list[tuple[bytes, bytes]]]:
    connection = _connection(binds)
    try:
        target = url.path + (b"?" + url.query if url.query else b"")
        connection.putrequest("GET", target.decode("latin-1"), skip_host=True, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name.decode(), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.getheaders()]
    finally:
        connection.close()


def _connection(binds: tuple[str, ...]) -> http.client.HTTPConnection:
    """Return a connection to the first of the addresses that is listened on."""
    bind = binds[0] if binds else ""
    if "unix:" in bind:
        return _UnixConnection(bind.partition("unix:")[2])
    parts = urlsplit(bind)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname or "127.0.0.1")  # noqa: S104  connected to, not listened on
    if parts.scheme == "https":
        # Our own worker, on this machine: its certificate is for the name that others know it by.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(host, parts.port, timeout=_PATIENCE, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=_PATIENCE)


class _UnixConnection(http.client.HTTPConnection):
    """A connection over a Unix socket.

    Args:
        path: of the socket.
    """

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)
