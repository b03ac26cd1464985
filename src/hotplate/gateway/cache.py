"""The response cache: a shared HTTP cache (RFC 9111) in front of the app.

A hit in memory is answered at once, on the data plane's thread: no loop, no thread of the pool, no app. All else goes
the longer way of `cache_flow`. What may be stored and reused is decided in `hotplate.cache.policy`; here is only acted.

The layer never makes an answer worse: where the cache itself fails, that is logged once per kind and the app is asked
as if there were none.
"""

from __future__ import annotations

from collections.abc import Awaitable

from hotplate.cache.answer import answer
from hotplate.cache.key import Key, primary
from hotplate.cache.policy import PLAIN, Passage, ask
from hotplate.gateway.cache_flow import Flow
from hotplate.gateway.cache_kit import Kit
from hotplate.gateway.cache_markers import Markers
from hotplate.gateway.cache_ready import Ready
from hotplate.gateway.cache_send import send_whole
from hotplate.gateway.cache_visit import Visit, path_marker
from hotplate.gateway.compressing import Compressor
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

_MOST_KEYS = 4096  # of URLs asked for lately, some 500 bytes each
_UPGRADE = b"upgrade"


def layer(app: ASGIApp, kit: Kit) -> ASGIApp:  # noqa: C901  # it is two functions, counted as one
    """Return `app` behind the cache; what it sends to the client is compressed, too.

    Needs neither loop nor thread for a hit. Closures, so that a hit finds all it needs in its cells.

    Args:
        app: the next layer.
        kit: what the parts share.
    """
    flow = Flow(app, kit)
    profile, compressor, clock, markers = kit.profile, kit.compressor, kit.clock, kit.markers
    peek, release = kit.cache.shelf.peek, kit.cache.release.encode()
    keys: dict[tuple[str, bytes, bytes, bytes], Key] = {}

    def enter(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        headers = scope["headers"]
        fields = dict(headers)
        host = fields.get(b"host", b"")
        passage = ask(scope["method"], headers, profile, has_body="hotplate.body" in scope, host=host)
        if not passage.lookup or _UPGRADE in fields or "hotplate.rehearsal" in scope:
            return flow.past(scope, receive, send, passage)
        url = (scope["scheme"], host, scope.get("raw_path") or scope["path"].encode(), scope["query_string"])
        key = keys.get(url) if not passage.extra else primary(*url, release, passage.extra)
        if key is None:
            if len(keys) >= _MOST_KEYS:
                keys.clear()
            key = keys[url] = primary(*url, release)
        now = clock()
        ready: Ready | None = peek(key.digest)
        if ready is None:
            if markers and _is_marked(markers, scope, passage, key, host):
                return flow.past(scope, receive, send, passage)
        elif (
            (passage is PLAIN or _asks_for_all(passage))
            and ready.entry.received <= now < ready.plain_until
            and (ready.entry.explicit or not passage.is_personal)
        ):
            coding = _coding(compressor, ready, fields)
            if coding is not None:
                return send_whole(send, answer(ready.prepared, "GET", None, coding, now))
        return flow.serve(Visit(scope, receive, send, passage, key, now, fields.get(b"accept-encoding")))

    def cached(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return app(scope, receive, send)
        try:
            return enter(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # whatever the cache's own fault is, the app can answer
            kit.troubles.tell("look a request up", error)
            return app(scope, receive, compressor.outward(scope, send))

    return cached


def _asks_for_all(passage: Passage) -> bool:
    """Whether a request, though it has cookies, say, wants what a plain one does."""
    return passage.store and not passage.has_condition and not passage.has_range and passage.wants is None


def _coding(compressor: Compressor, ready: Ready, fields: dict[bytes, bytes]) -> bytes | None:
    """Return the coding to send it in, empty for none; None where there is one to be made."""
    wanted = compressor.acceptable(fields.get(b"accept-encoding"))
    if not wanted or not ready.is_compressible:
        return b""
    coded = ready.prepared.coded
    for coding in wanted:
        if coding in coded:
            return coding
    return None


def _is_marked(markers: Markers, scope: Scope, passage: Passage, key: Key, host: bytes) -> bool:
    """Whether it is known that there is no use in looking."""
    if markers.skips(key.digest + b"p" if passage.is_personal else key.digest):
        return True
    return markers.has_paths and markers.skips(path_marker(scope, host, is_personal=passage.is_personal))
