"""Asks the app for a response that may be stored, and gives the client what comes of it."""

from __future__ import annotations

from hotplate.cache.flight import Lead
from hotplate.cache.http.conditional import NAMES
from hotplate.cache.policy import revalidation_fields
from hotplate.gateway.caching.capture import Capture, Fate
from hotplate.gateway.caching.find import Place
from hotplate.gateway.caching.keep import Keeper
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.visit import Visit
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send


class Asker:
    """Asks the app.

    Args:
        app: the next layer.
        kit: what the parts share.
    """

    def __init__(self, app: ASGIApp, kit: Kit) -> None:
        self._app = app
        self._kit = kit

    async def ask(self, visit: Visit, place: Place, lead: Lead | None, *, on_error: bool) -> None:
        """Ask the app on behalf of a client.

        Args:
            visit: the client's request.
            place: where the response belongs, and what is stale there.
            lead: the flight that ends with it, None for none.
            on_error: whether the stale one may be served in place of an error.
        """
        keeper = Keeper(self._kit, visit, place, lead, on_error=on_error)
        out = self._kit.compressor.outward(visit.scope, visit.send)
        visit.is_out = True
        await self.run(visit, place, keeper, out)
        if keeper.must_ask_again:
            visit.receive = begun_anew(visit.receive)
            keeper = Keeper(self._kit, visit, Place(place.key), lead, on_error=False)
            await self.run(visit, Place(place.key), keeper, out)
        if keeper.must_ask_again:
            await self._app(visit.scope, begun_anew(visit.receive), out)

    async def run(self, visit: Visit, place: Place, keeper: Keeper, out: Send) -> None:
        """Call the app.

        What it raises is raised here, unless the client has been answered without it.
        """
        scope = asking(visit.scope, visit.headers, place)
        scope["hotplate.answering"] = keeper.answering
        keeper.answering.scope = scope
        keeper.capture = capture = Capture(out, self._kit.largest, keeper.begun, keeper.over, keeper.extra)
        receive = visit.receive
        if visit.scope.get("http_version") == "2":
            receive = _noting(receive, keeper)
        try:
            await self._app(scope, receive, capture)
            if capture.fate is Fate.HOLD and not capture.ended and (answer := keeper.over(None)) is not None:
                await answer
        except Exception:
            answer = keeper.failed()
            if answer is None:
                raise
            await answer
        finally:
            keeper.broken_off()


def asking(scope: Scope, headers: list[tuple[bytes, bytes]], place: Place) -> Scope:
    """Return the scope that the app is asked with: without the client's conditions, with ours where there are some."""
    kept = [field for field in headers if field[0] not in NAMES]
    if place.ready is not None:
        kept += revalidation_fields(place.ready.entry)
    asked = {**scope, "headers": kept}
    if len(kept) != len(headers) or kept != headers:
        asked.pop("hotplate.head", None)  # what is known of the client's fields
    return asked


def begun_anew(receive: Receive) -> Receive:
    """Return `receive` for an app that is asked once more: the first call has read the request, which has no body."""
    request: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def anew() -> Message:
        return request.pop() if request else await receive()

    return anew


def _noting(receive: Receive, keeper: Keeper) -> Receive:
    """Return `receive` that notes a body, which is no part of the key; in HTTP/2 only reading tells of it."""

    async def noting() -> Message:
        message = await receive()
        if message.get("body"):
            keeper.has_body = True
        return message

    return noting
