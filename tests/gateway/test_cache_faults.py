"""Whatever fails inside the cache, a store or a decision, is no client's trouble."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import pytest

from hotplate.cache.stores.base import Look, Token
from hotplate.cache.stores.local import LocalStore
from tests.gateway.cache_site import Site, Views

PAGE = {"Content-Type": "text/html", "Cache-Control": "public, max-age=60"}


class Broken(LocalStore):
    """A store in which one operation fails."""

    fails = ""

    def _maybe(self, name: str) -> None:
        if self.fails == name:
            raise RuntimeError(f"{name} is broken")

    def look(self, key: bytes) -> Look:
        """See `Store.look`."""
        self._maybe("look")
        return super().look(key)

    def put(self, *given: Any) -> None:
        """See `Store.put`."""
        self._maybe("put")
        super().put(*given)

    def drop(self, keys: Collection[bytes]) -> None:
        """See `Store.drop`."""
        self._maybe("drop")
        super().drop(keys)

    def valid(self, *given: Any) -> bool:
        """See `Store.valid`."""
        self._maybe("valid")
        return super().valid(*given)

    def now(self) -> Token:
        """See `Store.now`."""
        self._maybe("now")
        return super().now()

    def bump(self, slots: Collection[int]) -> None:
        """See `Store.bump`."""
        self._maybe("bump")
        super().bump(slots)

    def lease(self, key: bytes, seconds: float) -> bool:
        """See `Store.lease`."""
        self._maybe("lease")
        return super().lease(key, seconds)

    def release(self, key: bytes) -> None:
        """See `Store.release`."""
        self._maybe("release")
        super().release(key)


class BrokenAndShared(Broken):
    """The same, shared between processes."""

    is_shared = True


class BrokenAndSlow(Broken):
    """The same, over a network."""

    is_shared = True
    is_slow = True


@pytest.mark.parametrize("kind", [Broken, BrokenAndShared, BrokenAndSlow])
@pytest.mark.parametrize("fails", ["look", "put", "drop", "valid", "now", "bump", "lease", "release"])
def test_a_store_that_fails_is_no_clients_trouble(
    kind: type[Broken], fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever operation fails, every request is answered as the app answers it; it is logged, but not each time."""
    caplog.set_level(logging.ERROR, "hotplate.cache")
    view = Views({**PAGE, "Vary": "Accept-Language", "ETag": '"x"'})
    store = kind(10_000_000)
    with Site(view, store=store, cache_wait=0.2) as site:
        site.get("/", accept_language="de")
        store.fails = fails
        for number in range(4):
            assert site.get("/", accept_language="de").status == 200
            assert site.get(f"/{number}", accept_language="en").status == 200
            assert site.get("/", "POST").status == 200
            assert site.get("/", "HEAD").status == 200
            assert site.get("/other", if_none_match='"x"').status in {200, 304}
        assert all(client.answer().status == 200 for client in site.many(5, "/many"))
        store.fails = ""
        site.get("/healed")
        assert site.get("/healed").is_hit
    assert len(caplog.records) <= 8


@pytest.mark.parametrize("name", ["ask", "primary", "judge", "finish", "reuse", "encode", "invalidates", "answer"])
def test_a_decision_that_fails_is_no_clients_trouble(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault anywhere in the policy sends requests to the app."""
    from hotplate.gateway import cache
    from hotplate.gateway.caching import flow as cache_flow
    from hotplate.gateway.caching import keep as cache_keep
    from hotplate.gateway.caching import send as cache_send
    from hotplate.gateway.caching import unsafe as cache_unsafe

    def fail(*_given: object, **_named: object) -> None:
        raise RuntimeError(f"{name} is broken")

    view = Views({**PAGE, "ETag": '"x"'})
    with Site(view) as site:
        site.get("/")
        for module in (cache, cache_flow, cache_keep, cache_send, cache_unsafe):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, fail)
        for _ in range(3):
            assert site.get("/").status == 200
            assert site.get("/", "HEAD").status == 200
            assert site.get("/", "POST").status == 200
            assert site.get("/new").status == 200
            assert site.get("/new", if_none_match='"x"').status in {200, 304}
            assert all(client.answer().status == 200 for client in site.many(3, "/many"))
