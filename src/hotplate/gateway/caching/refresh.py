"""Makes a stored response anew in the background, while the old one is served: never twice at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from msgspec.structs import replace

from hotplate.cache.flight import Do, Lead, Nothing
from hotplate.cache.policy import Reason
from hotplate.cache.stores.base import Look
from hotplate.cache.waiting import settle_soon
from hotplate.gateway.caching.ask import Asker, begun_anew
from hotplate.gateway.caching.find import Finder, Place
from hotplate.gateway.caching.keep import Keeper, Outcome
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.visit import Visit
from hotplate.gateway.metering import layer as metered
from hotplate.gateway.scopes import NOTHING, bodiless
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send

_MOST = 64  # refreshes at a time in a worker; beyond it, what is stale is served as it is
_LONGEST_WAIT = 60.0  # seconds for another worker that refreshes the same


class Refresher:
    """Refreshes in the background.

    Args:
        app: the next layer.
        kit: what the parts share.
        finder: knows what is stored.
    """

    def __init__(self, app: ASGIApp, kit: Kit, finder: Finder) -> None:
        self._kit = kit
        self._finder = finder
        self._asker = Asker(app, kit)
        self._running = 0

    def begin(self, visit: Visit, place: Place) -> bool:
        """Have what is at `place` made anew, unless somebody is at it; returns whether it was begun."""
        flights = self._kit.cache.flights
        if place.key.digest in flights.leads or self._running >= _MOST:
            return False
        if self._kit.markers.find(visit.marker if place.key is visit.key else place.key.digest):
            return False  # it was tried a moment ago, in vain
        flight = flights.join(place.key.digest)
        if not isinstance(flight, Lead):
            if flight is not None:
                flight.leave()
            return False
        scope = {name: value for name, value in visit.scope.items() if not name.startswith("hotplate.")}
        scope |= {"method": "GET", "headers": visit.headers}
        if not self._kit.host.spawn(self._run(scope, visit, place, flight)):
            self._kit.end(flight, Nothing.ENDED)
            return False
        return True

    async def _run(self, scope: Scope, visit: Visit, place: Place, lead: Lead) -> None:
        kit = self._kit
        self._running += 1
        try:
            step = await settle_soon(
                lead, lambda look: self._is_newer(visit, place, look), _LONGEST_WAIT, is_slow=kit.cache.store.is_slow
            )
            if step.do is Do.TAKE:
                kit.end(lead, Outcome.STORED)
                return
            await self._ask(scope, visit, place, lead)
        finally:
            self._running -= 1
            kit.end(lead, Nothing.ENDED)

    def _is_newer(self, visit: Visit, place: Place, look: Look) -> bool:
        other = self._finder.usable_place(visit, place.key, look)
        return (
            other is not None
            and other.ready is not None
            and place.ready is not None
            and other.ready.entry.received > place.ready.entry.received
        )

    async def _ask(self, scope: Scope, visit: Visit, place: Place, lead: Lead) -> None:
        left = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Whose request set it off still counts: what was made for somebody with a cookie may turn out to be his own.
        passage = replace(
            visit.passage, store=True, reason=Reason.NONE, only_if_cached=False, has_condition=False, has_range=False,
            wants=None,
        )  # fmt: skip
        keepers: list[Keeper] = []

        async def app(inner: Scope, receive: Receive, send: Send) -> None:
            own = Visit(inner, receive, send, passage, visit.key, self._kit.clock())
            for asked in (place, Place(place.key)):
                keeper = Keeper(self._kit, own, asked, lead, on_error=False, is_ours=True)
                keepers.append(keeper)
                await self._asker.run(own, asked, keeper, send)
                if not keeper.must_ask_again:
                    break
                own.receive = begun_anew(own.receive)

        def send(message: Message) -> Awaitable[None]:
            if message.get("more_body") and keepers and keepers[-1].is_in_vain:
                loop.call_soon_threadsafe(left.set)  # a stream that is not to be kept may never end
            return NOTHING

        await metered(app, self._kit.metering, _closes_nothing)(scope, bodiless(left), send)


def _closes_nothing() -> bool:
    return False
