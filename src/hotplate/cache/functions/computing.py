"""How a value is had that is not at hand: once for all who ask. Written once, run by threads and by loops alike.

`had` is a generator that yields what is to be waited for; `run` waits in a thread and `run_soon` on a loop.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Coroutine, Generator, Mapping
from typing import Any, NamedTuple

from hotplate.cache import waiting
from hotplate.cache.counters import FUNCTION_MISSES, FUNCTION_STORED
from hotplate.cache.current import MAKING, Making
from hotplate.cache.flight import Do, Lead, Nothing, Step, Usable, Wait
from hotplate.cache.functions.calls import Cachable, Held, pack
from hotplate.cache.service import Cache
from hotplate.cache.stores.base import Look, Token

_log = logging.getLogger("hotplate.cache")


class Computing(Making):
    """A value that is being computed.

    Args:
        digest: of its call.
        outer: what it is computed for.
    """

    __slots__ = ("digest", "outer")

    def __init__(self, digest: bytes, outer: Making | None) -> None:
        super().__init__()
        self.digest = digest
        self.outer = outer


class Call(NamedTuple):
    """One call of a cached function."""

    cachable: Cachable
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    content: bytes
    digest: bytes
    cache: Cache

    def is_own(self) -> bool:
        """Whether this very call is being computed further out: whoever waited for it would wait for ever."""
        thing = MAKING.get()
        while isinstance(thing, Computing):
            if thing.digest == self.digest:
                return True
            thing = thing.outer
        return False


class Kept(NamedTuple):
    """What a leader tells those who wait: a value, and until when they may believe it."""

    held: Held
    token: Token
    slots: tuple[int, ...]


class Failed(NamedTuple):
    """What a leader tells those who wait: their call has failed like its own."""

    error: Exception


class Alone(NamedTuple):
    """What a leader tells those who wait: nothing can be shared, so everybody computes."""


class Settle(NamedTuple):
    """Wait until it is known what a leader has to do."""

    lead: Lead
    usable: Usable
    most: float


class Once(NamedTuple):
    """Find out what a leader has to do now."""

    lead: Lead
    usable: Usable


class Hear(NamedTuple):
    """Wait for what a leader says."""

    wait: Wait
    most: float


class Compute(NamedTuple):
    """Call the function."""


Asks = Generator[Settle | Once | Hear | Compute, Any, Any]


def had(call: Call, patience: float) -> Asks:
    """Have a value by leading, waiting, or alone.

    Args:
        call: which.
        patience: seconds to wait for others; 0 where waiting would stop a loop.
    """
    ends = time.monotonic() + patience
    while not call.is_own():
        place = call.cache.flights.join(call.digest)
        if isinstance(place, Lead):
            return (yield from _led(call, place, patience))
        if place is None:
            break
        said = yield Hear(place, max(ends - time.monotonic(), 0.0))
        if isinstance(said, Failed):
            raise _again(said.error)
        # What was begun before an invalidation is not what is asked for after it.
        if isinstance(said, Kept) and call.cache.store.valid(said.token, said.slots):
            return _noted(call, said.held)
        if said is Nothing.TIMED_OUT or isinstance(said, Alone):
            break
    return (yield from _computed(call, call.cache.store.now(), None))


def refreshed(call: Call, fresh: float) -> Asks:
    """Compute a value that is still there, unless somebody does so already.

    Args:
        call: which.
        fresh: `Record.fresh` of the one that is there; another process may have put a newer one.
    """
    place = call.cache.flights.join(call.digest)
    if isinstance(place, Wait):
        place.leave()
    if not isinstance(place, Lead):
        return None
    found: list[Held] = []
    step = None
    try:
        step = yield Once(place, _usable(call, fresh, found))
    finally:
        if step is None or step.do is Do.PAUSE:
            place.end()
    if step.do is Do.TAKE:
        _taken(call, place, step, found[-1])
    elif step.do is Do.COMPUTE:
        return (yield from _computed(call, step.look.token if step.look else None, place))
    return None


def anew(call: Call) -> Asks:
    """Compute a value whatever is there, and keep it."""
    return _computed(call, call.cache.store.now(), None)


def _led(call: Call, lead: Lead, patience: float) -> Asks:
    found: list[Held] = []
    step = None
    try:
        step = yield Settle(lead, _usable(call, time.time(), found), patience)
    finally:
        if step is None:  # cancelled
            lead.end()
    if step.do is Do.TAKE:
        return _noted(call, _taken(call, lead, step, found[-1]))
    return (yield from _computed(call, step.look.token if step.look else None, lead))


def _usable(call: Call, beyond: float, found: list[Held]) -> Usable:
    """Return what tells a leader whether another process has put a value that is fresh longer than `beyond`."""

    def usable(look: Look) -> bool:
        held = None if look.value is None else call.cachable.unpack(look.value)
        if held is None or held.record.fresh <= beyond:
            return False
        found.append(held)
        return True

    return usable


def _taken(call: Call, lead: Lead, step: Step, held: Held) -> Held:
    look = step.look
    if look is None or look.token is None:
        lead.end(Alone())
        return held
    size = len(held.record.value) + 1000
    call.cache.shelf.note(call.digest, held, size, look.dies - time.time(), look.token, look.slots)
    lead.end(Kept(held, look.token, look.slots))
    return held


def _computed(call: Call, token: Token | None, lead: Lead | None) -> Asks:
    """Call the function, keep what it returns and tell those who wait."""
    cachable, outer = call.cachable, MAKING.get()
    making = Computing(call.digest, outer)
    outcome: object = Nothing.ENDED
    before = MAKING.set(making)
    call.cache.counters.add(FUNCTION_MISSES)
    try:
        begun = time.perf_counter()
        value = yield Compute()
        cost = time.perf_counter() - begun
        making.add((*cachable.tags(call.args, call.kwargs), cachable.tag, cachable.call_tag(call.content)))
        outcome = _keep(call, value, making, token, cost)
        return value
    except Exception as error:
        outcome = Failed(error)
        raise
    finally:
        if lead is not None:
            lead.end(outcome)
        if outer is not None:
            outer.add(making.tags)
        MAKING.reset(before)


def _keep(call: Call, value: object, making: Making, token: Token | None, cost: float) -> object:
    cachable, rules = call.cachable, call.cachable.rules
    if token is None:
        return Alone()
    held = cachable.pack(value, making.tags, time.time(), cost)
    slots = cachable.slots(held)
    if not cachable.is_bounded(held):
        if not cachable.is_warned:
            cachable.is_warned = True
            _log.warning("%s is not cached: it depends on %d tags", cachable.name, len(held.record.tags))
    else:
        call.cache.shelf.keep(call.digest, held, pack(held), token, slots, rules.ttl + rules.swr)
        call.cache.counters.add(FUNCTION_STORED)
    return Kept(held, token, slots)


def _noted(call: Call, held: Held) -> Any:  # noqa: ANN401  # what the function has returned
    outer = MAKING.get()
    if outer is not None:
        outer.add(held.record.tags)
    return call.cachable.value(held)


def _again(error: Exception) -> Exception:
    """Return an error for one more thread to raise; a traceback that several threads add to belongs to none."""
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001  # an exception whose constructor wants something else
        return error
    return twin.with_traceback(error.__traceback__) if type(twin) is type(error) else error


def run(call: Call, asks: Asks) -> Any:  # noqa: ANN401  # what the function returns
    """Return what comes of `asks`, in this thread."""
    answer: object = None
    error: BaseException | None = None
    while True:
        try:
            asked = asks.send(answer) if error is None else asks.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            if isinstance(asked, Compute):
                answer = call.cachable.function(*call.args, **call.kwargs)
            elif isinstance(asked, Settle):
                answer = waiting.settle(asked.lead, asked.usable, asked.most)
            elif isinstance(asked, Once):
                answer = asked.lead.step(asked.usable, math.inf)
            else:
                answer = waiting.outcome(asked.wait, asked.most)
        except BaseException as problem:  # noqa: BLE001  # thrown into `asks`, which raises it
            error = problem


async def run_soon(call: Call, asks: Asks) -> Any:  # noqa: ANN401  # what the function returns
    """Return what comes of `asks`, on this loop."""
    answer: object = None
    error: BaseException | None = None
    while True:
        try:
            asked = asks.send(answer) if error is None else asks.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            answer = await _soon(call, asked)
        except BaseException as problem:  # noqa: BLE001  # thrown into `asks`, which raises it
            error = problem


def _soon(call: Call, asked: Settle | Once | Hear | Compute) -> Coroutine[Any, Any, Any]:
    if isinstance(asked, Compute):
        made: Coroutine[Any, Any, Any] = call.cachable.function(*call.args, **call.kwargs)
        return made
    if isinstance(asked, Once):
        return waiting.step_soon(asked.lead, asked.usable, math.inf, is_slow=call.cache.store.is_slow)
    if isinstance(asked, Settle):
        return waiting.settle_soon(asked.lead, asked.usable, asked.most, is_slow=call.cache.store.is_slow)
    return waiting.outcome_soon(asked.wait, asked.most)
