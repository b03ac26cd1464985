"""The way of a request, from the data plane to the app, on one screen.

Each layer takes the next one and returns an ASGI callable. None of them waits for anything: a probe, a refusal and
(later) a cache hit are answered on the data plane's thread, before the event loop or a pool thread is involved.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hotplate.apps.load import LoadedApp
from hotplate.cache.service import Cache
from hotplate.gateway import asgi, cache, compressing, wsgi
from hotplate.gateway.accesslog import access_log
from hotplate.gateway.body_hygiene import guarded
from hotplate.gateway.caching import suggest as cache_suggest
from hotplate.gateway.caching.early import early
from hotplate.gateway.caching.kit import kit_of
from hotplate.gateway.closing import Closing
from hotplate.gateway.forwarded import forwarded
from hotplate.gateway.health import health
from hotplate.gateway.hygiene import corrected, hygiene
from hotplate.gateway.limits import Limits
from hotplate.gateway.metering import Metering
from hotplate.gateway.metering import layer as metered
from hotplate.gateway.types import ASGIApp
from hotplate.gateway.websockets import OpenSockets
from hotplate.gateway.wsgi.host import Background
from hotplate.settings import Settings


class Parts(NamedTuple):
    """What the layers share.

    Args:
        host: moves a request to the loop or into the pool.
        metering: counts and times requests.
        closing: whether a response is to close its connection.
        sockets: where open WebSocket connections are noted.
        state: what the ASGI lifespan left; None where another server runs it.
        server: value of the Server field where the app sets none; empty for none.
        cache: store, memory and flights of this process; None where nothing is to be answered from cache.
    """

    host: Background
    metering: Metering
    closing: Closing
    sockets: OpenSockets
    state: dict[str, Any] | None
    server: bytes = b""
    cache: Cache | None = None


def build(loaded: LoadedApp, settings: Settings, parts: Parts) -> ASGIApp:
    """Return the pipeline around an app; read it from the bottom, as a request does."""
    limits = Limits.of(settings)
    app = _adapted(loaded, settings, parts)
    # here: admission (a bounded wait, then 503)
    compressor = compressing.compressing(settings, parts.host)
    kit = None
    if parts.cache is None or settings.cache == "off":
        app = compressing.layer(app, compressor)
    else:  # which compresses as well: what it keeps is the app's own bytes
        kit = kit_of(settings, parts.cache, parts.host, parts.metering, compressor)
        app = cache_suggest.layer(app, kit) if settings.cache == "suggest" else cache.layer(app, kit)
    plain = corrected(_entered(app, settings, parts))
    if kit is not None and settings.cache == "headers" and not settings.access_log:
        plain = early(plain, kit, parts.metering, parts.closing, parts.server)
    app = forwarded(app, settings.trusted_proxies)
    app = guarded(app, limits, parts.host)
    app = _entered(app, settings, parts)
    return hygiene(app, limits, parts.host, parts.metering.refuse, plain)


def _entered(app: ASGIApp, settings: Settings, parts: Parts) -> ASGIApp:
    app = metered(app, parts.metering, parts.closing, parts.server)
    app = access_log(app, settings)
    return health(app, settings.health_path, parts.closing.state)


def _adapted(loaded: LoadedApp, settings: Settings, parts: Parts) -> ASGIApp:
    if loaded.kind == "wsgi":
        return wsgi.adapt(loaded.app, settings, parts.host)
    return asgi.adapt(loaded.app, parts.host, parts.state, parts.sockets)
