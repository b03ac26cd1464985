"""The same store for Flask-Caching and whatever else speaks cachelib, so that its users keep their decorators.

    CACHE_TYPE = "hotplate.cache.cachelib.HotplateCache"

Nothing is pickled: what is kept is what `hotplate.cache.functions.values` can write, and Flask's responses that are
whole, not streamed, and set no cookie. An exception, such as that of a 404, is not kept.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from cachelib import BaseCache

from hotplate.cache.functions.byvalue import a_named, encode
from hotplate.cache.functions.models import DamagedError, Kind, kind_of
from hotplate.cache.functions.values import UnstorableError, Values
from hotplate.cache.key import slot_of
from hotplate.cache.service import Cache, current
from hotplate.errors import ExitCode, HotplateError

_LONGEST = 366 * 86400.0  # seconds; what cachelib calls never
_LEASE = 1.0  # seconds; changing a number takes far less, so whoever holds it longer is dead
_PAUSE = 0.0005


class HotplateCache(BaseCache):
    """Keeps values where `@hotplate.cached` does: shared by all workers, and by machines with Redis.

    Args:
        default_timeout: seconds a value is kept, 0 for a year.
        ignore_delete_many_errors: as in cachelib.
        key_prefix: keeps apart what several apps keep in one store.

    Example:
        >>> cache = HotplateCache()
        >>> cache.set("visits", 1), cache.inc("visits"), cache.get("visits"), cache.get("other")
        (True, 2, 2, None)
    """

    def __init__(
        self,
        default_timeout: int | timedelta = 300,
        ignore_delete_many_errors: bool = True,  # noqa: FBT001, FBT002  # cachelib's signature
        key_prefix: str = "",
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        self._prefix = key_prefix
        self._slots = (slot_of(f"cachelib:{key_prefix}"),)
        self._values = Values(_classes, _kind_of)
        self._changing: dict[int, threading.Lock] = {}

    def get(self, key: str) -> Any:  # noqa: ANN401  # whatever was set
        """Return what is kept, None for nothing."""
        return self._found(current(), self._digest(key))[1]

    def set(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:  # noqa: ANN401  # see the module
        """Keep a value.

        Returns:
            Whether it is kept; False while the store cannot be reached, and for an exception.

        Raises:
            HotplateError: it has no safe form as bytes; says what to keep instead.
        """
        cache = current()
        return self._put(cache, self._digest(key), value, timeout)

    def add(self, key: str, value: Any, timeout: int | timedelta | None = None) -> bool:  # noqa: ANN401  # as in `set`
        """Keep a value unless there is one."""
        cache, digest = current(), self._digest(key)
        with self._alone(cache, digest):
            if self._found(cache, digest)[0]:
                return False
            return self._put(cache, digest, value, timeout)

    def delete(self, key: str) -> bool:
        """Forget a value; returns whether there was one."""
        cache, digest = current(), self._digest(key)
        was_there = self._found(cache, digest)[0]
        cache.store.drop((digest,))
        return was_there

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return self._found(current(), self._digest(key))[0]

    def clear(self) -> bool:
        """Forget everything with this prefix, in all processes; functions and responses are others' to clear."""
        current().store.bump(self._slots)
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a number, in one step among all processes; None while the store cannot be reached."""
        cache, digest = current(), self._digest(key)
        with self._alone(cache, digest):
            changed: int = (self._found(cache, digest)[1] or 0) + delta
            return changed if self._put(cache, digest, changed, None) else None

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Take from a number, as `inc` adds to it."""
        return self.inc(key, -delta)

    def _digest(self, key: str) -> bytes:
        return blake2b(encode([self._prefix, key]), digest_size=32, person=b"hp.cachelib").digest()

    def _found(self, cache: Cache, digest: bytes) -> tuple[bool, Any]:
        # Not from this process's memory: others may have set another value, which no clock tells.
        value = cache.store.look(digest).value
        if value is None:
            return False, None
        try:
            return True, self._values.decode(value)
        except DamagedError:
            return False, None

    def _put(self, cache: Cache, digest: bytes, value: object, timeout: int | timedelta | None) -> bool:
        seconds = float(self._normalize_timeout(timeout)) or _LONGEST
        token = cache.store.now()
        if token is None or isinstance(value, BaseException) or seconds < 0:
            return False
        try:
            encoded = self._values.encode(_plainer(value))
        except UnstorableError as refused:
            raise HotplateError(
                "cache a value", f"it is {refused.found}", refused.remedy, code=ExitCode.FAILED
            ) from None
        cache.store.put(digest, encoded, token, self._slots, min(seconds, _LONGEST))
        return True

    @contextmanager
    def _alone(self, cache: Cache, digest: bytes) -> Iterator[None]:
        """Be the only one of all processes that changes a value."""
        lock = blake2b(digest, digest_size=32, person=b"hp.lock").digest()
        gives_up = time.monotonic() + _LEASE
        # By process: one that was held while another thread forked is never given back in the child.
        with self._changing.setdefault(os.getpid(), threading.Lock()):
            while cache.store.is_shared and not cache.store.lease(lock, _LEASE) and time.monotonic() < gives_up:
                time.sleep(_PAUSE)
            try:
                yield
            finally:
                cache.store.release(lock)


def _classes() -> Iterable[type]:
    """Return the classes that may be rebuilt by a process that has not met them yet."""
    places = (("flask", "Response"), ("werkzeug.wrappers", "Response"), ("markupsafe", "Markup"))
    return [getattr(sys.modules[module], name) for module, name in places if module in sys.modules]


def _kind_of(model: type) -> Kind | None:
    wrappers = sys.modules.get("werkzeug.wrappers")
    if wrappers is not None and issubclass(model, wrappers.Response):
        return _RESPONSE
    return kind_of(model)


def _plainer(value: object) -> object:
    """Return Flask-Caching's own kind of response as the response it was made of."""
    kind = type(value)
    if kind.__module__.partition(".")[0] != "flask_caching":
        return value
    response: Any = object.__new__(kind.__mro__[1])
    response.__dict__ = value.__dict__
    return response


def _read_response(response: Any) -> list[Any]:  # noqa: ANN401  # of a class that may not be there
    name = a_named(type(response))
    if response.is_streamed or response.direct_passthrough:
        raise UnstorableError(f"{name} that is streamed", "Give the whole body to the response, or leave it uncached.")
    if "set-cookie" in response.headers:
        raise UnstorableError(
            f"{name} that sets a cookie", "Set cookies outside of what is cached: they are one person's."
        )
    return [response.status, [list(field) for field in response.headers.items()], response.get_data()]


def _make_response(model: Callable[..., Any], content: Any) -> object:  # noqa: ANN401  # out of a store
    status, fields, body = content
    return model(body, status=status, headers=[(name, value) for name, value in fields])


_RESPONSE = Kind(_read_response, _make_response)
