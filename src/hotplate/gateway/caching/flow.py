"""The way of a request that was no plain hit: look it up, wait for whoever makes it, or make it.

For each URL (and variant) one request at a time asks the app, in all workers together; the others wait for it on the
event loop, a bounded number for a bounded time, and take no thread. Who waits in vain asks the app as if there were no
cache, and so does everybody when the response turns out to be nobody else's.
"""

from __future__ import annotations

from collections.abc import Awaitable

from hotplate.cache.counters import BYPASSED, COLLAPSED, EARLY, HITS, MICROSECONDS_SAVED, MISSES, STALE
from hotplate.cache.flight import Do, Lead, Nothing, Wait
from hotplate.cache.http.status import forwarded, hit
from hotplate.cache.policy import Passage, Reason, Use, Verdict, reuse
from hotplate.cache.stores.base import Look
from hotplate.cache.waiting import outcome_soon, settle_soon
from hotplate.gateway.caching.ask import Asker
from hotplate.gateway.caching.find import Finder, Place
from hotplate.gateway.caching.keep import Outcome
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.refresh import Refresher
from hotplate.gateway.caching.send import answer_with, not_cached
from hotplate.gateway.caching.unsafe import Invalidating, changes_something
from hotplate.gateway.caching.visit import Visit
from hotplate.gateway.exchange import AbandonedError
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

_ROUNDS = 3  # of waiting for one who makes it, if that one ends without a result


class Flow:
    """Takes requests through the cache.

    Args:
        app: the next layer.
        kit: what the parts share.
    """

    def __init__(self, app: ASGIApp, kit: Kit) -> None:
        self._app = app
        self._kit = kit
        self._finder = Finder(kit)
        self._asker = Asker(app, kit)
        self._refresher = Refresher(app, kit, self._finder)

    def past(self, scope: Scope, receive: Receive, send: Send, passage: Passage) -> Awaitable[None]:
        """Have the app answer a request that the cache has nothing to do with, apart from what it changes."""
        out = self._kit.compressor.outward(scope, send)
        if passage.reason is Reason.METHOD:
            if changes_something(scope["method"]):
                out = Invalidating(self._kit, scope, out)
        elif self._kit.tells_misses:
            out = telling(out, forwarded("bypass", detail=passage.reason.value))
        return self._app(scope, receive, out)

    async def serve(self, visit: Visit) -> None:
        """Answer a request from the cache, or by asking the app for it."""
        try:
            await self._serve(visit)
        except AbandonedError:
            raise
        except Exception as error:
            if visit.is_out:  # the app's or the client's doing
                raise
            self._kit.troubles.tell("answer a request", error)
            await self._past(visit, Reason.NONE)

    async def _serve(self, visit: Visit) -> None:
        for _ in range(_ROUNDS):
            place = await self._finder.find(visit)
            _check(visit)
            verdict = self._verdict(visit, place)
            if verdict is not None and verdict.use <= Use.STALE:
                if verdict.use is Use.STALE or (verdict.use is Use.EARLY and _is_in_second_half(place, verdict)):
                    self._refresh(visit, place, is_stale=verdict.use is Use.STALE)
                await self._answer(visit, place, verdict)
                return
            if visit.passage.only_if_cached:
                await not_cached(visit)
                return
            if verdict is None or verdict.use is Use.UNUSABLE:
                place = Place(place.key)
            # Without the store's clock nothing that the app says now can be kept, so nobody is to wait for it.
            if self._goes_past(visit, place) or self._kit.token() is None:
                await self._past(visit, visit.passage.reason)
                return
            if await self._make(visit, place, verdict):
                return
        await self._past(visit, Reason.NONE)

    def _refresh(self, visit: Visit, place: Place, *, is_stale: bool) -> None:
        try:
            if self._refresher.begin(visit, place) and not is_stale:
                self._kit.cache.counters.add(EARLY)
        except Exception as error:  # noqa: BLE001  # see `Troubles`
            self._kit.troubles.tell("begin a refresh", error)

    def _verdict(self, visit: Visit, place: Place) -> Verdict | None:
        if place.ready is None:
            return None
        kit = self._kit
        return reuse(place.ready.entry, visit.passage, kit.clock(), kit.profile, kit.draw())

    def _goes_past(self, visit: Visit, place: Place) -> bool:
        """Whether there is nothing to be stored from the app's answer to this request."""
        passage = visit.passage
        if not passage.store or passage.has_range or any(name == b"upgrade" for name, _ in visit.headers):
            return True
        return place.ready is None and place.key is not visit.key and self._kit.markers.skips(place.key.digest)

    async def _make(self, visit: Visit, place: Place, verdict: Verdict | None) -> bool:
        """Ask the app, or wait for whoever does; False when it is to be looked for again."""
        on_error = verdict is not None and verdict.on_error
        if not visit.collapsed:
            self._kit.cache.counters.add(MISSES)
        # Nobody may wait for what is one's own, nor for what has to be asked for every time.
        if self._is_for_itself(visit, place):
            await self._asker.ask(visit, place, None, on_error=on_error)
            return True
        flight = self._kit.cache.flights.join(place.key.digest)
        if flight is None:
            await self._past(visit, Reason.NONE, "crowded")
            return True
        if isinstance(flight, Wait):
            return not await self._waited(visit, flight)
        try:
            return await self._lead(visit, place, flight, on_error=on_error)
        finally:
            self._kit.end(flight, Nothing.ENDED)

    def _is_for_itself(self, visit: Visit, place: Place) -> bool:
        """Whether there is no use in waiting for another one's answer."""
        if place.ready is not None:
            return not place.ready.can_be_fresh or (visit.passage.is_personal and not place.ready.entry.explicit)
        return visit.passage.is_personal and visit.key.digest not in self._kit.publics

    async def _waited(self, visit: Visit, wait: Wait) -> bool:
        """Wait for another request's outcome; True when there is one to look for, else the app has answered."""
        visit.collapsed = True
        try:
            await self._kit.host.on_loop()
        except BaseException:
            wait.leave()
            raise
        outcome = await outcome_soon(wait, self._kit.cache.wait)
        _check(visit)
        if outcome is Outcome.STORED or outcome is Nothing.ENDED:
            return True
        if outcome is Nothing.TIMED_OUT:
            # Whatever holds the first one up, the next ones need not wait as long to find that out.
            self._kit.markers.refused(visit.marker, visit.path, "timed out", self._kit.cache.wait)
        await self._past(visit, Reason.NONE, "collapsed in vain")
        return False

    async def _lead(self, visit: Visit, place: Place, lead: Lead, *, on_error: bool) -> bool:
        kit = self._kit
        found: list[tuple[Place, Verdict]] = []

        def usable(look: Look) -> bool:
            other = self._finder.usable_place(visit, place.key, look)
            if other is None:
                return False
            verdict = self._verdict(visit, other)
            if verdict is None or verdict.use > Use.STALE:
                return False
            found.append((other, verdict))
            return True

        is_slow = kit.cache.store.is_slow
        step = None if is_slow else lead.step(usable, kit.cache.wait)
        if step is None or step.do is Do.PAUSE:
            await kit.host.on_loop()
            step = await settle_soon(lead, usable, kit.cache.wait, is_slow=is_slow)
            _check(visit)
        if step.do is Do.TAKE and found:
            kit.end(lead, Outcome.STORED)
            visit.collapsed = True
            await self._answer(visit, *found[-1])
            return True
        await self._asker.ask(visit, place, lead, on_error=on_error)
        return True

    async def _answer(self, visit: Visit, place: Place, verdict: Verdict) -> None:
        if place.ready is None:
            return
        told = b""
        visit.at = place.key
        count = self._kit.cache.counters.add
        count(COLLAPSED if visit.collapsed else STALE if verdict.use is Use.STALE else HITS)
        count(MICROSECONDS_SAVED, place.ready.saves)
        if visit.collapsed:
            told = forwarded("uri-miss", collapsed=True)
        elif verdict.use is Use.STALE:
            told = hit(int(verdict.ttl), "stale-while-revalidate")
        await answer_with(self._kit, visit, place.ready, told)

    async def _past(self, visit: Visit, reason: Reason, detail: str = "") -> None:
        self._kit.cache.counters.add(BYPASSED)
        out = self._kit.compressor.outward(visit.scope, visit.send)
        if self._kit.tells_misses:
            out = telling(out, forwarded("bypass", detail=detail or reason.value))
        visit.is_out = True
        await self._app(visit.scope, visit.receive, out)


def _is_in_second_half(place: Place, verdict: Verdict) -> bool:
    """Whether an early refresh is not too early: what takes longer to make than it lives would be made all the time."""
    return place.ready is not None and verdict.ttl * 2 <= place.ready.entry.lifetime - place.ready.entry.age


def _check(visit: Visit) -> None:
    """Stop where the time-out has answered meanwhile."""
    exchange = visit.scope.get("hotplate.exchange")
    if exchange is not None and exchange.abandoned:
        raise AbandonedError


def telling(send: Send, value: bytes) -> Send:
    """Return `send` with Cache-Status added to the response."""

    def told(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"cache-status", value)]}
        return send(message)

    return told
