"""Sends a stored response to the client of a request."""

from __future__ import annotations

from hotplate.cache.counters import BYTES_SERVED, NOT_MODIFIED
from hotplate.cache.http.answer import Answer, answer
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.caching.visit import Visit
from hotplate.gateway.scopes import first
from hotplate.gateway.types import Send

_GATEWAY_TIMEOUT = b"This is not in the cache, and the request allows nothing else (RFC 9111, section 5.2.1.7).\n"


async def send_whole(send: Send, what: Answer) -> None:
    """Send a status, fields and body."""
    status, fields, body = what
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def answer_with(kit: Kit, visit: Visit, ready: Ready, told: bytes) -> None:
    """Answer a request from a stored response.

    Args:
        kit: what the parts share.
        visit: the request.
        ready: what is stored.
        told: value of Cache-Status; empty for that of a plain hit.
    """
    send, coding = visit.send, b""
    # A range is one of the plain bytes (RFC 9110, section 14.2, counts within the selected representation).
    wanted = (
        kit.compressor.acceptable(first(visit.headers, b"accept-encoding") or None) if ready.is_compressible else ()
    )
    if wanted and not visit.passage.has_range:
        found = ready.coding(wanted)
        if found is None:
            kit.want_coding(visit.at, ready, wanted)
            send = kit.compressor.outward(visit.scope, send)
        coding = found or b""
    what = answer(ready.prepared, visit.method, visit.asked, coding, kit.clock(), told)
    visit.is_out = visit.has_sent = True
    kit.cache.counters.add(BYTES_SERVED, len(what[2]))
    if what[0] == 304:
        kit.cache.counters.add(NOT_MODIFIED)
    await send_whole(send, what)


async def not_cached(visit: Visit) -> None:
    """Answer 504 to a request that wants nothing but what is stored."""
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_GATEWAY_TIMEOUT)),
        (b"cache-control", b"no-store"),
        (b"cache-status", b"hotplate; fwd=request; detail=only-if-cached"),
    ]
    visit.is_out = True
    await send_whole(visit.send, (504, fields, b"" if visit.method == "HEAD" else _GATEWAY_TIMEOUT))
