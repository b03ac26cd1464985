"""What is being made now, and what it turns out to depend on.

A cached function that is called while a response (or another cached function's value) is made passes its tags on to it:
what is invalid inside is invalid outside. The same way a view that is decorated with `@hotplate.cached` tells the cache
in front of the app how long its response may be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from enum import Enum
from typing import Any, NamedTuple

MOST_TAGS = 256  # more in one response or value, and it is not kept: every one is checked on every hit


class ViewRule(NamedTuple):
    """What `@hotplate.cached` on a view asks for its response.

    Args:
        ttl: seconds it is fresh.
        swr: seconds after that in which it may be served while it is refreshed.
        tags: what it can be invalidated by, those of the view's arguments filled in.
        vary: request fields it depends on, lower case, besides those of its own Vary.
    """

    ttl: float
    swr: float
    tags: tuple[str, ...]
    vary: tuple[str, ...] = ()


class Role(Enum):
    """What a cached function is in the call that is being made.

    Args:
        PLAIN: a function like others.
        VIEW: the view that answers the request.
        COVERED: a view with other decorators above, which would be skipped if its value were kept.
    """

    PLAIN = 1
    VIEW = 2
    COVERED = 3


Recognise = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any] | None], Role]


class Hooks:
    """What frameworks have a say in; set by `hotplate.frameworks.views`.

    Attributes:
        recognise: given a cached function, its values and the scope of the request, if there is a cache
            in front, says what it is. None where no framework is served.
        host: value of the Host field of the request that is being answered, where a framework tells; "" elsewhere.
        surroundings: asked in the calling thread for what to enter in one that refreshes in the background.
    """

    recognise: Recognise | None = None
    host: Callable[[], str] = staticmethod(str)
    surroundings: Callable[[], Callable[[], AbstractContextManager[object]]] = staticmethod(lambda: nullcontext)


class Making:
    """Something that is being made.

    Attributes:
        tags: what it depends on, as far as is known by now; more than MOST_TAGS means that it cannot be kept.
    """

    __slots__ = ("tags",)

    def __init__(self) -> None:
        self.tags: set[str] = set()

    def add(self, tags: Iterable[str]) -> None:
        """Depend on `tags`, too."""
        self.tags.update(tags)


class Answering(Making):
    """A response that is being made, with a cache in front of the app that would keep it.

    Args:
        scope: of the request, as it was passed to the app; `endpoint` appears in it under Starlette.

    Attributes:
        rule: what `@hotplate.cached` on the view asks for; None where the view has none.
    """

    __slots__ = ("rule", "scope")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        super().__init__()
        self.scope = scope
        self.rule: ViewRule | None = None


MAKING: ContextVar[Making | None] = ContextVar("hotplate_making", default=None)
"""The innermost thing that is being made in this context; a thread or task started meanwhile inherits it."""


@contextmanager
def making(thing: Making) -> Iterator[None]:
    """Have `thing` hear of what is used while the block runs.

    Context variables do not travel with a hop to another thread: enter where the app is called, not before.

    Example:
        >>> with making(Making()) as _:
        ...     tag("articles")
        ...     sorted(MAKING.get().tags)
        ['articles']
    """
    before = MAKING.set(thing)
    try:
        yield
    finally:
        MAKING.reset(before)


def tag(*tags: str) -> None:
    """Say what the response or cached value that is being made depends on; elsewhere it does nothing.

    Args:
        tags: names for `hotplate.cache.invalidate(tag=...)`.

    Example:
        >>> tag("articles", "article:7")
    """
    thing = MAKING.get()
    if thing is not None:
        thing.tags.update(tags)
