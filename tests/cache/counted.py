"""Functions that count their calls, sync and async, called so that a test need not care which."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import hotplate
from hotplate.cache.functions import background
from hotplate.cache.service import Cache

ALL_KINDS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class Counted:
    """A function that counts its calls, made sync or async, and called so that the test need not care."""

    def __init__(self, is_async: bool, **given: Any) -> None:
        self.calls = 0
        self.makes: Callable[..., Any] = lambda *args: [self.calls, *args]

        def count(*args: Any) -> Any:
            self.calls += 1
            return self.makes(*args)

        def plain(a: Any = 0, b: Any = 0) -> Any:
            return count(a, b)

        async def soon(a: Any = 0, b: Any = 0) -> Any:
            await asyncio.sleep(0)
            return count(a, b)

        function: Any = soon if is_async else plain
        self.function: Any = hotplate.cached(**{"ttl": 60, **given})(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function gives."""
        return finish(self.function(*args, **kwargs))


def finish(value: Any) -> Any:
    """Await what is to be awaited, and all that it has started."""

    async def all_of_it() -> Any:
        result = await value
        while background._tasks:
            await asyncio.gather(*background._tasks)
        return result

    return asyncio.run(all_of_it()) if inspect.isawaitable(value) else value


def hotplate_cache() -> Cache:
    """Return the cache in use."""
    from hotplate.cache.service import current

    return current()
