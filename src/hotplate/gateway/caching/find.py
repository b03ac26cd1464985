"""Finds what is stored for a request: in memory, in the store, and through the list of variants."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from hotplate.cache.key import Key, slot_of, variant
from hotplate.cache.shelf import Found, Shelf
from hotplate.cache.stores.base import Look, Token
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.caching.visit import Visit


class Place(NamedTuple):
    """Where a request's response is, or belongs.

    Args:
        key: by which it is stored; of those whose Vary is not known yet, of the URL.
        ready: what is stored there; None for nothing.
        token: of `ready`.
    """

    key: Key
    ready: Ready | None = None
    token: Token | None = None


class Finder:
    """Looks for stored responses.

    Args:
        kit: what the parts share.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._shelf: Shelf[Ready] = kit.cache.shelf
        self._store = kit.cache.store

    async def find(self, visit: Visit) -> Place:
        """Return where the response to a request is; waits for the network only where the store does, on the loop."""
        if self._store.is_slow:
            if (place := self._in_memory(visit)) is not None:
                return place
            await self._kit.host.on_loop()
        found = await self._looked(visit.key)
        if found.object is None or not found.object.is_list:
            return Place(visit.key, found.object, found.token)
        keys = self._keys(visit, found.object)
        for key in keys:
            inner = await self._looked(key)
            if inner.object is not None:
                return Place(key, inner.object, inner.token)
        return Place(keys[0])

    def usable_place(self, visit: Visit, key: Key, look: Look) -> Place | None:
        """Return where a look of a flight has found the response to a request; None where that is not it.

        Args:
            visit: the request.
            key: that was looked under.
            look: what was found; taken into memory where it is good.
        """
        if look.value is None or look.token is None:
            return None
        ready = self._kit.decode(look.value, key.full)
        if ready is None:
            return None
        slots = slots_of(key, ready.entry.tags)
        seconds = look.dies - self._kit.clock()
        self._shelf.note(key.digest, ready, ready.size(), seconds, look.token, slots)
        if not ready.is_list:
            return Place(key, ready, look.token)
        for inner_key in self._keys(visit, ready):
            inner = self._shelf.look(inner_key.digest, inner_key.full, self._kit.decode)
            if inner.object is not None:
                return Place(inner_key, inner.object, inner.token)
        return None

    def _in_memory(self, visit: Visit) -> Place | None:
        ready = self._shelf.peek(visit.key.digest)
        if ready is None:
            return None
        keys = self._keys(visit, ready) if ready.is_list else [visit.key]
        for key in keys:
            inner = self._shelf.peek(key.digest)
            if inner is not None and not inner.is_list:
                return Place(key, inner, self._store.now())
        return None

    def _look(self, key: Key) -> Found[Ready]:
        found = self._shelf.look(key.digest, key.full, self._kit.decode)
        ready = found.object
        if (
            ready is not None
            and self._store.is_shared
            and self._kit.clock() >= ready.plain_until
            and not ready.is_list
            and key.digest not in self._kit.cache.flights.leads
        ):
            # Another worker may have a newer one.
            self._shelf.memory.discard(key.digest)
            again = self._shelf.look(key.digest, key.full, self._kit.decode)
            if again.object is not None:
                return again
        return found

    def _keys(self, visit: Visit, ready: Ready) -> list[Key]:
        loose = self._kit.profile.loose_vary
        return [variant(visit.key, vary, visit.headers, loose=loose) for vary in ready.entry.variants]

    async def _looked(self, key: Key) -> Found[Ready]:
        if not self._store.is_slow:
            return self._look(key)
        loop = asyncio.get_running_loop()
        looked: asyncio.Future[Found[Ready]] = loop.create_future()

        def settle(found: Found[Ready]) -> None:
            if not looked.done():
                looked.set_result(found)

        def told(found: Found[Ready]) -> None:
            loop.call_soon_threadsafe(settle, found)

        self._shelf.look_soon(key.digest, key.full, self._kit.decode, told)
        return await looked


def slots_of(key: Key, tags: tuple[str, ...]) -> tuple[int, ...]:
    """Return the slots that invalidate a response: its URL's and those of its tags."""
    return tuple(dict.fromkeys((key.slot, *map(slot_of, tags))))
