"""Invalidates what a request has changed (RFC 9111, section 4.4; RFC 9875): before its client hears that it is done."""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop as running_loop
from collections.abc import Awaitable, Collection

from hotplate.cache import journal
from hotplate.cache.counters import INVALIDATIONS
from hotplate.cache.key import Url, slot_of
from hotplate.cache.policy import invalidates
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.scopes import first, raw_path
from hotplate.gateway.types import Message, Scope, Send

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


def changes_something(method: str) -> bool:
    """Whether a method may change something; the policy knows more of them than this quick look."""
    return method not in _SAFE


class Invalidating:
    """The `send` of a request that may change something.

    Args:
        kit: what the parts share.
        scope: of the request.
        send: towards the client.
    """

    __slots__ = ("_kit", "_scope", "_send")

    def __init__(self, kit: Kit, scope: Scope, send: Send) -> None:
        self._kit = kit
        self._scope = scope
        self._send = send

    def __call__(self, message: Message) -> Awaitable[None]:
        """Take one of the app's messages."""
        if message["type"] == "http.response.start" and 200 <= message["status"] < 400:
            try:
                slots = self._slots(message)
            except Exception as error:  # noqa: BLE001  # see `Troubles`
                self._kit.troubles.tell("read what a response invalidates", error)
            else:
                if slots:
                    return self._bump(slots, message)
        return self._send(message)

    def _slots(self, message: Message) -> set[int]:
        scope = self._scope
        url = Url(scope["scheme"], first(scope["headers"], b"host"), raw_path(scope), scope["query_string"])
        fields = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
        return {slot_of(tag) for tag in invalidates(scope["method"], message["status"], url, fields)}

    async def _bump(self, slots: Collection[int], message: Message) -> None:
        store = self._kit.cache.store
        try:
            if store.is_slow and running_loop() is not None:
                await asyncio.to_thread(store.bump, slots)
            else:
                store.bump(slots)
            self._kit.cache.counters.add(INVALIDATIONS)
            path = self._scope["path"]
            journal.note(self._kit.cache.folder, "request", [path], tags=slots, by=f"{self._scope['method']} {path}")
        except Exception as error:  # noqa: BLE001  # as above
            self._kit.troubles.tell("invalidate what a request has changed", error)
        await self._send(message)
