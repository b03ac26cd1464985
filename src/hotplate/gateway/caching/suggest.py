"""Measures what could be answered from cache, while everything is answered by the app (`--cache suggest`).

Every response is compared with the one before it of the same URL: had that been kept for a minute, or for as long as
the app allows, it would have been the answer now. Where both are the same that is a hit, and its time would have been
saved; where they differ, it would have been a mistake. Visitors are not told apart on purpose: a page that differs
between them is what must be found out.
"""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple

from hotplate.cache.counters import BYPASSED, SUGGESTED_HITS, SUGGESTED_MISMATCHES
from hotplate.cache.current import Answering
from hotplate.cache.key import Key, primary, variant
from hotplate.cache.measured import Suggestion
from hotplate.cache.policy import PLAIN, Reason, Refused, Response, ask, judge
from hotplate.cache.stores.base import Token
from hotplate.gateway.caching.capture import Fields
from hotplate.gateway.caching.find import slots_of
from hotplate.gateway.caching.keep import of_view
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.patterns import Patterns
from hotplate.gateway.caching.unsafe import Invalidating, changes_something
from hotplate.gateway.scopes import first, raw_path
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

ASSUMED = 60.0  # seconds that a page is taken to be good for, where the app says nothing
_MOST_PAGES = 4096  # that are compared, some 300 bytes each
_MOST_ROUTES = 300
_ENOUGH = 10  # would-be hits from which on a rule is suggested
_COMPARED = frozenset((b"content-type", b"content-language", b"location", b"link", b"refresh"))
# No rule lifts these: the app itself says that the response is one person's, or of one moment.
_FINAL = frozenset((Reason.PRIVATE, Reason.NO_STORE, Reason.SET_COOKIE, Reason.VARY_STAR, Reason.NO_CACHE))


class _Seen(NamedTuple):
    """A page as it was answered last.

    Args:
        digest: of what the client got.
        visitor: who that was.
        good_until: wall-clock seconds until which it would have been served.
        token: the store's clock before it was made.
        slots: what would have invalidated it.
    """

    digest: bytes
    visitor: bytes
    good_until: float
    token: Token
    slots: tuple[int, ...]


class Route:
    """What is known of one route."""

    __slots__ = ("between_visitors", "declared", "hits", "reasons", "requests", "saved", "visitors", "within_visitor")

    def __init__(self) -> None:
        self.requests = self.hits = self.declared = 0
        self.saved = 0.0
        self.visitors = self.within_visitor = 0  # mismatches: between visitors, and of one visitor
        self.between_visitors = 0  # hits of one visitor on another one's page
        self.reasons: dict[str, int] = {}

    def suggestion(self, pattern: str, words: dict[str, str]) -> Suggestion:
        """Return it as the command line shows it.

        Args:
            pattern: of its paths.
            words: for the codes of reasons.
        """
        mismatches = self.visitors + self.within_visitor
        rule, why = "", ""
        if self.visitors:
            why = "it differs between visitors"
        elif self.within_visitor:
            why = f"it changes within {ASSUMED:.0f} s"
        elif self.reasons:
            why = words[max(self.reasons, key=self.reasons.__getitem__)]
        elif self.declared == self.requests:
            why = "nothing: --cache headers answers it"
        elif self.hits < _ENOUGH:
            why = "not asked for often enough to tell"
        elif not self.between_visitors:
            why = "only one visitor was seen, so it may be his own"
        else:
            rule = f"{pattern} ttl={ASSUMED:.0f}s"
        return Suggestion(
            route=pattern, requests=self.requests, hits=self.hits, mismatches=mismatches, seconds_saved=self.saved,
            rule=rule, why=why,
        )  # fmt: skip


class Watched:
    """The `send` of a request that is measured.

    Args:
        send: towards the client.

    Attributes:
        status: of the response.
        fields: of the response, with lower-case names.
        is_whole: whether it has come to its end.
    """

    __slots__ = ("_hash", "_send", "fields", "is_whole", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._hash = blake2b(digest_size=16)
        self.is_whole = False
        self.status = 0
        self.fields: Fields = []

    def __call__(self, message: Message) -> Awaitable[None]:
        """Take one of the app's messages."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.fields = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
            for field in sorted(self.fields):
                if field[0] in _COMPARED:
                    self._hash.update(b"%b:%b\n" % field)
            self._hash.update(b"%d\n" % self.status)
        elif message["type"] == "http.response.body":
            self._hash.update(bytes(message.get("body") or b""))
            self.is_whole = not message.get("more_body")
        return self._send(message)

    def digest(self) -> bytes:
        """Return the digest of what the client got."""
        return self._hash.digest()


class Suggesting:
    """Compares the responses of a worker.

    Args:
        kit: what the parts share.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._lock = Lock()
        self._patterns = Patterns()
        self._pages: dict[bytes, _Seen] = {}
        self._routes: dict[str, Route] = {}
        kit.measures.routes = self.suggestions

    def suggestions(self) -> list[Suggestion]:
        """Return what has been found out so far."""
        words = {reason.value: reason.text for reason in Reason}
        with self._lock:
            return [route.suggestion(pattern, words) for pattern, route in self._routes.items()]

    def compare(self, scope: Scope, key: Key, watched: Watched, began: tuple[Token | None, float]) -> None:
        """Take a response in.

        Args:
            scope: of its request.
            key: of its URL.
            watched: what the app sent.
            began: the store's clock and the monotonic time before the app was called.
        """
        kit = self._kit
        token, ticks = began
        cost, now = kit.ticks() - ticks, kit.clock()
        headers: Fields = scope["headers"]
        answering: Answering = scope["hotplate.answering"]
        path = raw_path(scope)
        rule = of_view(answering.rule) if answering.rule is not None else kit.rule_of(path)
        response = Response(watched.status, watched.fields, now, cost, tuple(answering.tags))
        judged = judge(PLAIN, response, kit.profile, rule)
        reason = judged.reason if isinstance(judged, Refused) else Reason.NONE
        with self._lock:
            route = self._route(path)
            if route is None:
                return
            route.requests += 1
            if watched.status >= 400 or reason in _FINAL or token is None:
                if reason:
                    route.reasons[reason.value] = route.reasons.get(reason.value, 0) + 1
                return
            if not reason:
                route.declared += 1
            vary = () if isinstance(judged, Refused) else judged.vary
            lifetime = ASSUMED if isinstance(judged, Refused) else judged.lifetime - judged.age
            tags = tuple(answering.tags) if isinstance(judged, Refused) else judged.tags
            seen = _Seen(watched.digest(), _visitor(headers), now + lifetime, token, slots_of(key, tags))
            self._count(route, variant(key, vary, headers).digest, seen, cost, now - cost)

    def _count(self, route: Route, page: bytes, seen: _Seen, cost: float, began: float) -> None:
        before = self._pages.pop(page, None)
        self._pages[page] = seen  # the newest stand last
        if len(self._pages) > _MOST_PAGES:
            del self._pages[next(iter(self._pages))]
        if before is None or before.good_until <= began or not self._kit.cache.store.valid(before.token, before.slots):
            return
        is_other = before.visitor != seen.visitor
        self._pages[page] = before  # which would still be there
        route.hits += 1
        self._kit.cache.counters.add(SUGGESTED_HITS)
        if before.digest == seen.digest:
            route.saved += cost
            route.between_visitors += is_other
            return
        self._kit.cache.counters.add(SUGGESTED_MISMATCHES)
        if is_other:
            route.visitors += 1
        else:
            route.within_visitor += 1

    def _route(self, path: bytes) -> Route | None:
        pattern = self._patterns.of(path)
        route = self._routes.get(pattern)
        if route is None and len(self._routes) < _MOST_ROUTES:
            route = self._routes[pattern] = Route()
        return route


def _visitor(headers: Fields) -> bytes:
    who = [value for name, value in headers if name in {b"cookie", b"authorization"}]
    return blake2b(b"\0".join(who), digest_size=8).digest()


def layer(app: ASGIApp, kit: Kit) -> ASGIApp:
    """Return `app` with its responses compressed and measured.

    Args:
        app: the next layer.
        kit: what the parts share.
    """
    suggesting = Suggesting(kit)
    release = kit.cache.release.encode()

    async def measured(scope: Scope, receive: Receive, send: Send, key: Key) -> None:
        scope["hotplate.answering"] = Answering(scope)
        began = kit.cache.store.now(), kit.ticks()
        watched = Watched(kit.compressor.outward(scope, send))
        await app(scope, receive, watched)
        if not watched.is_whole:
            return
        try:
            suggesting.compare(scope, key, watched, began)
            kit.measures.changed()
        except Exception as error:  # noqa: BLE001  # see `Troubles`
            kit.troubles.tell("measure a response", error)

    def enter(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        headers: Fields = scope["headers"]
        host = first(headers, b"host")
        passage = ask(scope["method"], headers, kit.profile, has_body="hotplate.body" in scope, host=host)
        method = scope["method"]
        if not passage.lookup or method != "GET" or passage.has_range or passage.has_condition:
            kit.cache.counters.add(BYPASSED)
            out = kit.compressor.outward(scope, send)
            return app(scope, receive, Invalidating(kit, scope, out) if changes_something(method) else out)
        key = primary(scope["scheme"], host, raw_path(scope), scope["query_string"], release, passage.extra)
        return measured(scope, receive, send, key)

    def suggest(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or "hotplate.rehearsal" in scope:
            return app(scope, receive, send)
        try:
            return enter(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # as above
            kit.troubles.tell("measure a request", error)
            return app(scope, receive, kit.compressor.outward(scope, send))

    return suggest
