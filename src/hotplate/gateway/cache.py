"""The response cache: a shared HTTP cache (RFC 9111) in front of the app.

A hit in memory is answered at once, on the data plane's thread: no loop, no thread of the pool, no app. All else goes
the longer way of `caching.flow`. What may be stored and reused is decided in `hotplate.cache.policy`; here is only
acted.

The layer never makes an answer worse: where the cache itself fails, that is logged once per kind and the app is asked
as if there were none.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from hotplate.cache.counters import BYPASSED
from hotplate.cache.key import Key, primary
from hotplate.cache.policy import Passage
from hotplate.gateway.caching.copies import Copies
from hotplate.gateway.caching.flow import Flow
from hotplate.gateway.caching.hits import Asked, Fields, Hits, read
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.markers import Markers
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.caching.send import send_whole
from hotplate.gateway.caching.visit import Visit, path_marker
from hotplate.gateway.scopes import raw_path
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

_MOST_KEYS = 4096  # of URLs asked for lately, some 500 bytes each


def layer(app: ASGIApp, kit: Kit) -> ASGIApp:
    """Return `app` behind the cache; what it sends to the client is compressed, too.

    Needs neither loop nor thread for a hit.

    Args:
        app: the next layer.
        kit: what the parts share.
    """
    kit = replace(kit, want_coding=Copies(kit).want)
    flow = Flow(app, kit)
    enter = _entrance(kit, flow)

    def cached(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return app(scope, receive, send)
        try:
            return enter(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # whatever the cache's own fault is, the app can answer
            kit.troubles.tell("look a request up", error)
            return app(scope, receive, kit.compressor.outward(scope, send))

    return cached


def _entrance(kit: Kit, flow: Flow) -> ASGIApp:
    """Return the way in; a closure, so that a hit finds all it needs in its cells."""
    clock, markers, keys = kit.clock, kit.markers, kit.keys
    peek, release = kit.cache.shelf.peek, kit.cache.release.encode()
    count, past, hit = kit.cache.counters.add, flow.past, Hits(kit)

    def enter(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        headers: Fields = scope["headers"]
        head = scope.get("hotplate.head")
        asked: Asked = (head is not None and scope["method"] == "GET" and head.cache) or read(kit, scope, head)
        passage, host, codings = asked
        if not passage.lookup or "hotplate.rehearsal" in scope:
            count(BYPASSED)
            return past(scope, receive, send, passage)
        url = (scope["scheme"], host, raw_path(scope), scope["query_string"])
        key = keys.get(url) if not passage.extra else primary(*url, release, passage.extra)
        if key is None:
            if len(keys) >= _MOST_KEYS:
                keys.clear()
            key = keys[url] = primary(*url, release)
        now = clock()
        ready: Ready | None = peek(key.digest)
        if ready is None:
            if _is_marked(markers, scope, passage, key, host):
                count(BYPASSED)
                return past(scope, receive, send, passage)
        elif passage.store and passage.wants is None:
            found = hit(ready, key, passage, headers, codings, now)
            if found is not None:
                return send_whole(send, found)
        return flow.serve(Visit(scope, receive, send, passage, key, now))

    return enter


def _is_marked(markers: Markers, scope: Scope, passage: Passage, key: Key, host: bytes) -> bool:
    """Whether it is known that there is no use in looking."""
    if markers.skips(key.digest + b"p" if passage.is_personal else key.digest):
        return True
    return markers.has_paths and markers.skips(path_marker(scope, host, is_personal=passage.is_personal))
