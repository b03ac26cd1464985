"""The store of many machines does what stores promise, with a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hotplate.cache.stores.redis import RedisStore
from tests.cache.redis_control import KEY, PATIENT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis

Open = Callable[[], RedisStore]


@pytest.fixture
def opened(redis_url: str) -> Iterator[Open]:
    """Opens stores of one namespace, each as another process would, and waits until they know the clock."""
    with ExitStack() as closing:

        def open_one() -> RedisStore:
            store = RedisStore(redis_url, budget=PATIENT)
            closing.callback(store.close)
            wait_until(store.now, what="the clock is known")
            return store

        yield open_one


def test_what_was_put_is_found_by_all(opened: Open) -> None:
    """A value is found with its own token, slots and time to die, here and in another process."""
    one, other = opened(), opened()
    token = one.look(KEY).token
    assert token is not None
    one.put(KEY, b"page", token, (7, 9), 60)
    look = one.look(KEY)
    assert (look.value, look.token, look.slots) == (b"page", token, (7, 9))
    assert other.look(KEY) == look


def test_an_invalidation_holds_everywhere_when_it_returns(opened: Open) -> None:
    """When bump returns, no process believes what depended on the slot, neither in Redis nor in memory."""
    one, other = opened(), opened()
    token = one.look(KEY).token
    assert token is not None
    one.put(KEY, b"page", token, (7,), 60)
    assert one.look(KEY).value == b"page"
    assert other.valid(token, (7,))
    one.bump([7])
    assert not one.valid(token, (7,))
    assert not other.valid(token, (7,))
    assert other.valid(token, (8,))
    assert other.look(KEY).value is None


def test_one_process_has_the_lease(opened: Open) -> None:
    """A lease is had by one process, and given back by it alone."""
    one, other = opened(), opened()
    assert one.lease(KEY, 60)
    assert not other.lease(KEY, 60)
    other.release(KEY)
    assert not other.lease(KEY, 60)
    one.release(KEY)
    assert one.look(KEY).value is None
    assert other.lease(KEY, 60)
