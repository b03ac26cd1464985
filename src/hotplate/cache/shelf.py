"""A worker's memory in front of a store: what was decoded once is served again without decoding it.

Nothing in memory is believed for long: every hit asks the store's clock, which costs no I/O, whether the object was
invalidated since, and its own time to die. So memory needs no messages to be kept right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from hotplate.cache.memory import Memory
from hotplate.cache.stores.base import Look, Store, Token

T = TypeVar("T")

_OVERHEAD = 1000  # bytes of the object beyond its encoded form, roughly


class Found(NamedTuple, Generic[T]):
    """What a look found.

    Args:
        object: None where there is nothing valid.
        token: the object's; without one, what may be kept of what is computed from now on. None where the store cannot
            be reached: then nothing may be kept.
    """

    object: T | None
    token: Token | None


class _Held(NamedTuple, Generic[T]):
    object: T
    token: Token
    slots: Sequence[int]
    dies: float


class Shelf(Generic[T]):
    """Decoded objects in memory, their bytes in a store. Any thread may call anything.

    Args:
        store: what is shared.
        memory_bytes: how much this process may hold decoded; 0 decodes every time.
        clock: wall-clock seconds.

    Example:
        >>> from hotplate.cache.stores.local import LocalStore
        >>> shelf: Shelf[str] = Shelf(LocalStore(10_000), 10_000)
        >>> key, full = bytes(32), b"GET /"
        >>> found = shelf.look(key, full, lambda value, full: value.decode())
        >>> shelf.keep(key, "page", b"page", found.token, (7,), 60)
        >>> shelf.peek(key)
        'page'
        >>> shelf.store.bump([7])
        >>> shelf.peek(key)
    """

    def __init__(self, store: Store, memory_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.memory: Memory[_Held[T]] = Memory(memory_bytes)
        self._clock = clock
        # Bound once: this is the path of every hit.
        self._get = self.memory.get
        self._valid = store.valid

    def peek(self, key: bytes) -> T | None:
        """Return the object in memory, if it is still valid; no I/O."""
        held = self._get(key)
        if held is None:
            return None
        thing, token, slots, dies = held
        if dies > self._clock() and self._valid(token, slots):
            return thing
        self.memory.discard(key, held)
        return None

    def look(self, key: bytes, full: bytes, decode: Callable[[bytes, bytes], T | None]) -> Found[T]:
        """Return the object from memory or from the store.

        Args:
            key: 32-byte digest.
            full: what it is the digest of.
            decode: makes the object of stored bytes and `full`; None where they are damaged or another key's.
        """
        held = self._get(key)
        if held is not None and held.dies > self._clock() and self._valid(held.token, held.slots):
            return Found(held.object, held.token)
        return self._unpack(key, full, decode, self.store.look(key))

    def look_soon(
        self, key: bytes, full: bytes, decode: Callable[[bytes, bytes], T | None], told: Callable[[Found[T]], None]
    ) -> None:
        """Look without waiting; `told` hears of it exactly once, in any thread, perhaps before this returns."""
        held = self._get(key)
        if held is not None and held.dies > self._clock() and self._valid(held.token, held.slots):
            told(Found(held.object, held.token))
            return
        self.store.look_soon(key, lambda look: told(self._unpack(key, full, decode, look)))

    def keep(
        self, key: bytes, thing: T, encoded: bytes, token: Token | None, slots: Sequence[int], seconds: float
    ) -> None:
        """Keep an object, in memory and in the store, unless it was invalidated since `token`."""
        if token is None or seconds <= 0:
            return
        self.store.put(key, encoded, token, slots, seconds)
        self.note(key, thing, len(encoded) + _OVERHEAD, seconds, token, slots)

    def note(self, key: bytes, thing: T, size: int, seconds: float, token: Token | None, slots: Sequence[int]) -> None:
        """Keep an object in memory alone, where it takes `size` bytes; nobody else sees it."""
        if token is not None and self._valid(token, slots):
            self.memory.put(key, _Held(thing, token, tuple(slots), self._clock() + seconds), size)

    def forget(self, key: bytes) -> None:
        """Forget what is kept under `key`, in memory and in the store."""
        self.memory.discard(key)
        self.store.drop((key,))

    def _unpack(self, key: bytes, full: bytes, decode: Callable[[bytes, bytes], T | None], look: Look) -> Found[T]:
        if look.value is None or look.token is None:
            return Found(None, look.token)
        thing = decode(look.value, full)
        if thing is None:
            # Damaged, or another key's of the same digest: what is computed next takes its place.
            return Found(None, self.store.now())
        held = _Held(thing, look.token, look.slots, look.dies)
        self.memory.put(key, held, len(look.value) + _OVERHEAD)
        return Found(thing, look.token)
