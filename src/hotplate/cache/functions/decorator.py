"""`@hotplate.cached`: a function that is called once and answers often."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, Self, TypeVar, overload

from hotplate.cache.functions import wrapping
from hotplate.cache.functions.calls import Cachable, Rules, Tags
from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.refused import RefusedError
from hotplate.settings.units import DURATION_HINT, parse_duration

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
_LONGEST = 366 * 86400.0


class Bound(Protocol[R_co]):
    """A cached method of an object; see `Cached`."""

    @property
    def uncached(self) -> Callable[..., R_co]:
        """The method as it was written."""

    def __call__(self, *args: Any, **kwargs: Any) -> R_co:  # noqa: ANN401  # the method's own
        """Return its value."""

    def invalidate(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the method's own
        """Invalidate this call; without arguments, all calls, with whatever object."""

    def refresh(self, *args: Any, **kwargs: Any) -> R_co:  # noqa: ANN401  # the method's own
        """Compute and keep it anew."""


class Cached(Protocol[P, R_co]):
    """A cached function.

    Attributes:
        uncached: the function as it was written.
    """

    __name__: str
    uncached: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the value from cache, or have it computed once for all who ask."""

    def invalidate(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the function's own
        """Have the entry of this call never served again; without arguments, all entries of the function.

        When it returns, this holds in all processes and on all machines that share the store. With Redis it waits for
        the network, so on an event loop call it as `await asyncio.to_thread(function.invalidate, ...)`.

        Raises:
            HotplateError: an argument cannot be compared by value.
        """

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function now and keep what it returns; meanwhile others get what was there."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Bound[R_co]: ...


def cached(
    *,
    ttl: float | str,
    tags: Tags = (),
    key: Callable[..., Any] | None = None,
    swr: float | str = 0.0,
    vary: str | tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Cached[P, R]]:
    """Keep what a function returns, by its arguments, in the store that all processes share.

    Of all that ask at once for one value, one computes it. Exceptions are not kept; None is. Callers get values of
    their own, which they may change. On a view it is the response that is kept, by the cache in front of the app: put
    it right below the route, above all other decorators.

    Args:
        ttl: how long a value is fresh, in seconds or as text such as "5m".
        tags: what it can be invalidated by: names, in which {argument} stands for an argument, or a function of the
            arguments that returns names.
        key: a function of the arguments that returns what tells calls apart, where that is not all of them, by value.
        swr: how much longer an old value may be served while a new one is computed in the background.
        vary: on a view, request fields that the response depends on, besides those in its own Vary.

    Raises:
        HotplateError: what is decorated is not a function, or a generator; or one of the arguments cannot be used.

    Example:
        >>> @cached(ttl="5m", tags="article:{id}")
        ... def article(id: int) -> dict[str, int]:
        ...     return {"id": id}
        >>> article(7)
        {'id': 7}
        >>> article.invalidate(7)
    """
    fields = tuple(name.lower() for name in ((vary,) if isinstance(vary, str) else vary))
    rules = Rules(_seconds("ttl", ttl), _seconds("swr", swr), tags, key, fields)
    if rules.ttl <= 0:
        raise _misused("its ttl is 0", "Give how long a value is fresh, such as ttl='5m'.")

    def decorate(function: Callable[P, R]) -> Cached[P, R]:
        _check(function)
        made: Cached[P, R] = wrapping.wrap(Cachable(function, rules))
        return made

    return decorate


def _check(function: Any) -> None:  # noqa: ANN401  # whatever the decorator was put on
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        raise _misused(f"it stands above @{kind}", f"Put @{kind} above @hotplate.cached.")
    name = getattr(function, "__qualname__", "")
    if not callable(function) or inspect.isclass(function) or not name:
        raise _misused(
            f"{getattr(function, '__name__', repr(function))} is not a function",
            "Put it on a function or a method, with its arguments: @hotplate.cached(ttl='5m').",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _misused(
            f"{name} is a generator, which is used up by being read",
            "Return a list instead of yielding its members.",
        )


def _seconds(name: str, value: float | str) -> float:
    try:
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
    except RefusedError as refused:
        raise _misused(f"{name}={value!r}: {refused.cause}", f"Give {refused.right}.") from None
    except (TypeError, ValueError):
        raise _misused(f"{name}={value!r} is not a duration", f"Give {DURATION_HINT}.") from None
    if not 0 <= seconds <= _LONGEST or math.isnan(seconds):
        raise _misused(f"{name}={value!r} is not between 0 and a year", f"Give {DURATION_HINT}.")
    return seconds


def _misused(cause: str, remedy: str) -> HotplateError:
    return HotplateError("use @hotplate.cached", cause, remedy, code=ExitCode.FAILED)
