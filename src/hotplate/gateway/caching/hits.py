"""Hits in memory: what a request's fields say of them, and the answer."""

from __future__ import annotations

from typing import NamedTuple

from hotplate.cache.counters import NOT_MODIFIED
from hotplate.cache.http.answer import Answer, answer, conditions
from hotplate.cache.key import Key
from hotplate.cache.policy import PLAIN, Passage, ask
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.ready import Ready
from hotplate.gateway.heads import Head
from hotplate.gateway.scopes import first
from hotplate.gateway.types import Scope

Fields = list[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """What the cache reads of a request's fields; kept with the fields of a plain GET (see `heads`).

    Args:
        passage: what the request allows.
        host: value of the Host field.
        codings: those that the client takes, the best first.
    """

    passage: Passage
    host: bytes
    codings: tuple[bytes, ...]


def read(kit: Kit, scope: Scope, head: Head | None) -> Asked:
    """Return what the cache reads of a request's fields."""
    headers: Fields = scope["headers"]
    host = first(headers, b"host")
    passage = ask(scope["method"], headers, kit.profile, has_body="hotplate.body" in scope, host=host)
    asked = Asked(passage, host, kit.compressor.acceptable(first(headers, b"accept-encoding") or None))
    if head is not None and scope["method"] == "GET":
        head.cache = asked
    return asked


class Hits:
    """Answers from memory.

    Args:
        kit: what the parts share.
    """

    def __init__(self, kit: Kit) -> None:
        self._peek = kit.cache.shelf.peek
        self._loose = kit.profile.loose_vary
        self._count, self._count_hit = kit.cache.counters.add, kit.cache.counters.add_hit

    def __call__(
        self, ready: Ready, key: Key, passage: Passage, headers: Fields, codings: tuple[bytes, ...], now: float
    ) -> Answer | None:
        """Return the answer; None where it is not fresh, not for this request, or not in a form that it could have."""
        if ready.is_list:
            variant = ready.variant(key, headers, loose=self._loose)
            inner: Ready | None = self._peek(variant.digest) if variant is not None else None
            if inner is None:
                return None
            ready = inner
        if not ready.received <= now < ready.plain_until or (passage.is_personal and not ready.entry.explicit):
            return None
        asked = None
        if passage is not PLAIN and (passage.has_condition or passage.has_range):
            asked = conditions(headers)
        coding = b""
        if codings and ready.is_compressible and not passage.has_range:
            known = ready.coding(codings)
            if known is None:
                return None
            coding = known
        found = answer(ready.prepared, "GET", asked, coding, now)
        self._count_hit(len(found[2]), ready.saves)
        if found[0] == 304:
            self._count(NOT_MODIFIED)
        return found
