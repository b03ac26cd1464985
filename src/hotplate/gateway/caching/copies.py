"""Compresses stored responses once more, better than there was time for when they were sent: in the background.

One thread of low priority for a whole worker. A copy is kept in the store beside its response, under a key of its own,
so that each of the workers' caches has it for one look; it is bound to the very response it was made of.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from hotplate.cache.entry import Entry, decode, encode
from hotplate.cache.key import Key
from hotplate.cache.policy import keep_seconds
from hotplate.cache.shelf import Found
from hotplate.compression.codings import CODINGS
from hotplate.gateway.caching.find import slots_of
from hotplate.gateway.caching.kit import Kit
from hotplate.gateway.caching.ready import Ready

_MOST_WAITING = 256  # responses; others are asked for again by a later hit
_NICE = 10
_IDLE = 30.0  # seconds until the thread ends


class _Wish(NamedTuple):
    key: Key
    ready: Ready
    coding: bytes


class Copies:
    """Makes the coded copies of a worker's stored responses.

    Args:
        kit: what the parts share.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._wishes: deque[_Wish] = deque(maxlen=_MOST_WAITING)
        self._changing = threading.Lock()
        self._more = threading.Event()
        self._runs = False

    def want(self, key: Key, ready: Ready, codings: tuple[bytes, ...]) -> None:
        """Have the best of `codings` made for a response, unless that has been asked for.

        Args:
            key: of the response.
            ready: the response.
            codings: that a client takes, the best first.
        """
        coding = codings[0]
        if coding in ready.coding_tried:
            return
        ready.coding_tried.add(coding)
        with self._changing:
            if len(self._wishes) == _MOST_WAITING:
                self._wishes[0].ready.coding_tried.discard(self._wishes[0].coding)
            self._wishes.append(_Wish(key, ready, coding))
            self._more.set()
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="hotplate-copies", daemon=True).start()

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            try:
                wish = self._wishes.popleft()
            except IndexError:
                if not self._rest():
                    return
                continue
            try:
                self._make(wish)
            except Exception as error:  # noqa: BLE001  # see `Troubles`
                self._kit.troubles.tell("compress a stored response", error)

    def _rest(self) -> bool:
        """Wait for something to do; False when the thread is to end."""
        self._more.wait(_IDLE)
        with self._changing:
            self._more.clear()
            self._runs = bool(self._wishes)
            return self._runs

    def _make(self, wish: _Wish) -> None:
        kit, (key, ready, coding) = self._kit, wish
        shelf = kit.cache.shelf
        found: Found[Ready] = shelf.look(key.digest, key.full, kit.decode)
        now = found.object
        if now is None or found.token is None or not _is_same(now.entry, ready.entry):
            return  # it was replaced meanwhile; its successor is asked for by itself
        seconds = keep_seconds(ready.entry, kit.profile, kit.clock())
        slots = slots_of(key, ready.entry.tags)
        digest, full = _key_of_copy(key, coding)
        body = self._stored(digest, full, ready.entry, coding)
        if body is None:
            body = CODINGS[coding].stored(ready.entry.body)
            if len(body) >= len(ready.entry.body):
                now.hopeless.add(coding)
                return
            copy = replace(ready.entry, full=full, body=body, coding=coding)
            kit.cache.store.put(digest, encode(copy), found.token, slots, seconds)
        better = now.with_variant(coding, body)
        shelf.note(key.digest, better, better.size(), seconds, found.token, slots)

    def _stored(self, digest: bytes, full: bytes, entry: Entry, coding: bytes) -> bytes | None:
        """Return what another worker has made of the same response."""
        value = self._kit.cache.store.look(digest).value
        copy = decode(value, full) if value is not None else None
        return copy.body if copy is not None and copy.coding == coding and _is_same(copy, entry) else None


def _is_same(one: Entry, other: Entry) -> bool:
    return one.received == other.received and one.etag == other.etag and one.status == other.status


def _key_of_copy(key: Key, coding: bytes) -> tuple[bytes, bytes]:
    # No URL's key, nor a variant's, begins with this byte.
    full = b"\2" + coding + b"\0" + key.full
    return blake2b(full, digest_size=32).digest(), full
