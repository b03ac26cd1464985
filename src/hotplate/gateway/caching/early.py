"""Answers plain hits in memory before anything else is made of a request.

What stands between here and the cache's layer is for requests that reach the app: time-outs, the claim for the only
answer, bodies, forwarded fields. A plain hit has none of that; it is counted, and its connection closed where that is
due. Whatever is not such a hit goes on as if this layer were not there. Measured, the whole way of a hit: 8.0 -> 5.6
microseconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hotplate.cache.http.answer import Answer
from hotplate.gateway.caching.hits import Hits
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.send import send_whole
from hotplate.gateway.exchange import CLOSE
from hotplate.gateway.metering import Metering
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send


def early(app: ASGIApp, kit: Kit, metering: Metering, closing: Callable[[], bool], server: bytes) -> ASGIApp:
    """Return `app`, the way of plain requests (see `heads`), with hits in memory answered before it.

    Args:
        app: the next layer, the cache's own somewhere behind it.
        kit: of the cache's layer.
        metering: counts.
        closing: whether the response is to carry `Connection: close`.
        server: value of the Server field of responses that have none; empty for none.
    """
    find, note, clock = _finder(kit), metering.note, metering.clock
    named = (b"server", server) if server else None

    def front(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        began = clock()
        try:
            found = find(scope)
        except Exception as error:  # noqa: BLE001  # whatever the cache's own fault is, the app can answer
            kit.troubles.tell("look a request up", error)
            found = None
        if found is None:
            return app(scope, receive, send)
        status, fields, body = found
        if named is not None:
            for name, _ in fields:
                if name == b"server":
                    break
            else:
                fields.append(named)
        if closing():
            fields = [field for field in fields if field[0] != b"connection"]
            fields.append(CLOSE)
        client = scope.get("client")
        note((client[0], int(client[1])) if client and client[0] else None, began)  # as `correct` has it
        return send_whole(send, (status, fields, body))

    return front


def _finder(kit: Kit) -> Callable[[Scope], Answer | None]:
    peek, keys, hit, clock = kit.cache.shelf.peek, kit.keys, Hits(kit), kit.clock

    def find(scope: Scope) -> Answer | None:
        asked = scope["hotplate.head"].cache
        if asked is None or scope["method"] != "GET" or "hotplate.rehearsal" in scope:
            return None
        passage, host, codings = asked
        if not passage.lookup or not passage.store or passage.wants is not None or passage.extra:
            return None
        key = keys.get((scope["scheme"], host, scope["raw_path"], scope["query_string"]))
        if key is None:
            return None
        ready = peek(key.digest)
        return hit(ready, key, passage, scope["headers"], codings, clock()) if ready is not None else None

    return find
