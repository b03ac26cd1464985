"""The health probe, answered before anything that can be busy: no loop, no thread, no app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from hotplate.gateway.refusal import SERVER, refuse
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

_ENCODER = msgspec.json.Encoder()


def _always_ok() -> Mapping[str, object]:
    return {"status": "ok"}


def health(app: ASGIApp, path: str, state: Callable[[], Mapping[str, object]] = _always_ok) -> ASGIApp:
    """Return `app` with a health probe at `path`.

    The probe answers 200 while `state()["status"]` is "ok", else 503, so that a load balancer stops sending requests to
    a server that drains. It is answered whatever Host it asks for: probes come by address.

    Args:
        app: the next layer.
        path: decoded path of the probe, without query; empty for none.
        state: what to answer, as a small JSON object with at least `status`; called for each probe.

    Example:
        `curl -i http://127.0.0.1:8000/-/health` answers `{"status":"ok"}`.
    """
    if not path:
        return app

    def probe(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("path") == path and scope["type"] == "http":
            return _answer(scope, send, state)
        return app(scope, receive, send)

    return probe


async def _answer(scope: Scope, send: Send, state: Callable[[], Mapping[str, object]]) -> None:
    if scope["method"] not in {"GET", "HEAD"}:
        await refuse(scope, send, 405, "A health probe is a GET or HEAD.", fields=[(b"allow", b"GET, HEAD")])
        return
    facts = state()
    body = _ENCODER.encode(facts)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        SERVER,
    ]
    status = 200 if facts["status"] == "ok" else 503
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
