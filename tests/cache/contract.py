"""The stores that must keep the promises of `hotplate.cache.stores.base`, all by the same tests.

Another store joins by a line in `KINDS`. An address is a text, so that a child process can open the same store.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hotplate.cache.stores.base import Store
from hotplate.cache.stores.lmdb import LmdbStore
from hotplate.cache.stores.local import LocalStore
from hotplate.cache.stores.redis import RedisStore
from tests.support.waiting import wait_until

LIMIT = 64_000_000


class Kind(NamedTuple):
    """A kind of store.

    Args:
        address: makes room for an empty store and says where; asks for the fixtures it needs.
        open: opens the store at an address, in whatever process.
        is_shared: whether other processes see it.
    """

    address: Callable[[pytest.FixtureRequest, Path], str]
    open: Callable[[str], Store]
    is_shared: bool


def _redis(url: str) -> Store:
    store = RedisStore(url, budget=5.0)  # a busy machine is no reason to go on without it
    wait_until(store.now, what="the clock is known")
    return store


KINDS: dict[str, Kind] = {
    "local": Kind(lambda _, __: "", lambda _: LocalStore(LIMIT), is_shared=False),
    "lmdb": Kind(lambda _, folder: str(folder / "cache"), lambda path: LmdbStore(Path(path), LIMIT), is_shared=True),
    "redis": Kind(lambda request, _: str(request.getfixturevalue("redis_url")), _redis, is_shared=True),
}
SHARED = [name for name, kind in KINDS.items() if kind.is_shared]


def open_store(kind: str, address: str) -> Store:
    """Open the store at an address."""
    return KINDS[kind].open(address)
