"""What stands in a cached function's place: looks, and has the function called where nothing was found."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable, Mapping
from typing import Any

from hotplate.cache import journal
from hotplate.cache.counters import FUNCTION_HITS, INVALIDATIONS, MICROSECONDS_SAVED
from hotplate.cache.current import MAKING, Answering, Hooks, Making, Role, ViewRule
from hotplate.cache.functions import background, computing
from hotplate.cache.functions.calls import Cachable, Held, State
from hotplate.cache.functions.computing import Call
from hotplate.cache.key import slot_of
from hotplate.cache.service import Cache, current
from hotplate.cache.shelf import Found
from hotplate.errors import HotplateError

_log = logging.getLogger("hotplate.cache")


def wrap(cachable: Cachable) -> Any:  # noqa: ANN401  # `hotplate.cache.functions.decorator.Cached`, put together by hand
    """Return what stands in a function's place: a real function, because frameworks look twice at anything else."""
    wrapper = _async(cachable) if inspect.iscoroutinefunction(cachable.function) else _sync(cachable)
    outer, _, _ = cachable.function.__qualname__.rpartition(".")
    is_method = bool(outer) and not outer.endswith("<locals>")
    return _Method(wrapper) if is_method else wrapper


def _sync(cachable: Cachable) -> Callable[..., Any]:
    function, is_called, state = cachable.function, _is_called, cachable.state

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        outer = MAKING.get()
        if Hooks.recognise is not None and is_called(wrapper, cachable, outer, args, kwargs):
            return function(*args, **kwargs)
        cache = current()
        content = _content(cachable, args, kwargs)
        if content is None:
            return function(*args, **kwargs)
        digest = cachable.digest(content, cache.release)
        held = cache.shelf.peek(digest)
        if held is None:
            held = cache.shelf.look(digest, b"", cachable.unpack).object
        found = State.DEAD if held is None else state(held, time.time())
        if held is not None and found is State.FRESH:
            return _given(cachable, cache, held, outer)
        call = Call(cachable, args, kwargs, content, digest, cache)
        if held is not None and found is State.AGEING:
            asks = functools.partial(computing.refreshed, call, held.record.fresh)
            background.in_thread(cachable.name, lambda: computing.run(call, asks()))
            return _given(cachable, cache, held, outer)
        # Waiting would stop the loop whose thread this is, perhaps with the very task that is waited for.
        patience = call.cache.wait if running_loop() is None else 0.0
        return computing.run(call, computing.had(call, patience))

    def refresh(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        call = _call(cachable, args, kwargs)
        return function(*args, **kwargs) if call is None else computing.run(call, computing.anew(call))

    return _finish(wrapper, cachable, refresh)


def _async(cachable: Cachable) -> Callable[..., Any]:
    function, is_called, state = cachable.function, _is_called, cachable.state

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        outer = MAKING.get()
        if Hooks.recognise is not None and is_called(wrapper, cachable, outer, args, kwargs):
            return await function(*args, **kwargs)
        cache = current()
        content = _content(cachable, args, kwargs)
        if content is None:
            return await function(*args, **kwargs)
        digest = cachable.digest(content, cache.release)
        held = cache.shelf.peek(digest)
        if held is None:
            held = (await _looked(cachable, cache, digest)).object
        found = State.DEAD if held is None else state(held, time.time())
        if held is not None and found is State.FRESH:
            return _given(cachable, cache, held, outer)
        call = Call(cachable, args, kwargs, content, digest, cache)
        if held is not None and found is State.AGEING:
            asks = functools.partial(computing.refreshed, call, held.record.fresh)
            background.as_task(cachable.name, lambda: computing.run_soon(call, asks()))
            return _given(cachable, cache, held, outer)
        return await computing.run_soon(call, computing.had(call, call.cache.wait))

    async def refresh(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        call = _call(cachable, args, kwargs)
        return await (function(*args, **kwargs) if call is None else computing.run_soon(call, computing.anew(call)))

    return _finish(wrapper, cachable, refresh)


def _content(cachable: Cachable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes | None:
    """Return a call's arguments; None where the function cannot be called like this, which it says best itself."""
    try:
        return cachable.content(args, kwargs)
    except TypeError:
        if cachable.can_be_called(args, kwargs):
            raise
        return None


def _call(cachable: Cachable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
    cache, content = current(), _content(cachable, args, kwargs)
    if content is None:
        return None
    return Call(cachable, args, kwargs, content, cachable.digest(content, cache.release), cache)


def _given(cachable: Cachable, cache: Cache, held: Held, outer: Making | None) -> Any:  # noqa: ANN401  # the function's own
    count = cache.counters.add
    count(FUNCTION_HITS)
    count(MICROSECONDS_SAVED, int(held.record.cost * 1e6))
    if outer is not None:
        outer.add(held.record.tags)
    return cachable.value(held)


async def _looked(cachable: Cachable, cache: Cache, digest: bytes) -> Found[Any]:
    shelf, unpack = cache.shelf, cachable.unpack
    if not cache.store.is_slow:
        return shelf.look(digest, b"", unpack)
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[Found[Any]] = loop.create_future()

    def settle(found: Found[Any]) -> None:
        if not heard.done():
            heard.set_result(found)

    def told(found: Found[Any]) -> None:
        try:
            loop.call_soon_threadsafe(settle, found)
        except RuntimeError:  # the loop was closed meanwhile, and with it whoever asked
            return

    shelf.look_soon(digest, b"", unpack, told)
    return await heard


def _is_called(
    wrapper: Callable[..., Any],
    cachable: Cachable,
    outer: Making | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> bool:
    """Whether the function is a view and so to be called, for it is the response that is kept, if at all."""
    if Hooks.recognise is None or isinstance(outer, computing.Computing):
        return False
    answering = outer if isinstance(outer, Answering) else None
    values = (*args, *kwargs.values()) if kwargs else args
    role = Hooks.recognise(wrapper, values, None if answering is None else answering.scope)
    if role is Role.VIEW and answering is not None:
        rules = cachable.rules
        tags = (*sorted(cachable.tags(args, kwargs)), cachable.tag, *_tag_of_call(cachable, args, kwargs))
        answering.rule = ViewRule(rules.ttl, rules.swr, tags, rules.vary)
    if role is Role.COVERED and not cachable.is_warned:
        cachable.is_warned = True
        _log.warning(
            "%s is not cached: another decorator stands above @hotplate.cached and would be skipped on every hit. "
            "Put @hotplate.cached right below the route.", cachable.name
        )  # fmt: skip
    return role is not Role.PLAIN


def _tag_of_call(cachable: Cachable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tag that invalidates one call of a view, where its arguments say which one it is."""
    try:
        return (cachable.call_tag(cachable.content(args, kwargs)),)
    except HotplateError:
        return ()


def _finish(wrapper: Any, cachable: Cachable, refresh: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ANN401  # a function, which gets attributes
    def invalidate(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the function's own
        tag = cachable.call_tag(cachable.content(args, kwargs)) if args or kwargs else cachable.tag
        cache = current()
        cache.store.bump((slot_of(tag),))
        cache.counters.add(INVALIDATIONS)
        journal.note(cache.folder, "tag", (cachable.tag,), tags=(tag,))

    wrapper.invalidate = invalidate
    wrapper.refresh = refresh
    wrapper.uncached = cachable.function
    made: Callable[..., Any] = wrapper
    return made


class _Method:
    """A cached function in a class: what belongs to it is bound to the object together with it."""

    def __init__(self, wrapper: Any) -> None:  # noqa: ANN401  # a function with attributes
        functools.update_wrapper(self, wrapper)
        self._wrapper = wrapper

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
        return self._wrapper(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:  # noqa: ANN401  # see `Bound`
        if instance is None:
            return self
        # A function, not a partial: frameworks ask whether what they call is async.
        wrapper: Any = self._wrapper
        if inspect.iscoroutinefunction(wrapper):

            async def bound(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
                return await wrapper(instance, *args, **kwargs)

            return _bind(bound, wrapper, instance)

        def bound_plainly(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the function's own
            return wrapper(instance, *args, **kwargs)

        return _bind(bound_plainly, wrapper, instance)


def _bind(bound: Any, wrapper: Any, instance: object) -> Any:  # noqa: ANN401  # functions with attributes
    def invalidate(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the function's own
        wrapper.invalidate(*((instance, *args) if args or kwargs else ()), **kwargs)

    bound.__name__, bound.__qualname__, bound.__doc__ = wrapper.__name__, wrapper.__qualname__, wrapper.__doc__
    bound.__self__ = instance
    bound.invalidate = invalidate
    bound.refresh = functools.partial(wrapper.refresh, instance)
    bound.uncached = functools.partial(wrapper.uncached, instance)
    return bound
