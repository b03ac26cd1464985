"""Sleeping for `hotplate.cache.flight`, once for threads and once for loops."""

from __future__ import annotations

import asyncio
import threading
import time

from hotplate.cache.flight import Do, Lead, Nothing, Step, Usable, Wait


def settle(lead: Lead, usable: Usable, most: float) -> Step:
    """Return, in a thread, with what the leader has to do: COMPUTE or TAKE.

    Args:
        lead: has joined.
        usable: whether a value in the store will do.
        most: seconds to wait for another process.
    """
    while (step := lead.step(usable, most)).do is Do.PAUSE:
        time.sleep(step.pause)
    return step


async def step_soon(lead: Lead, usable: Usable, most: float, *, is_slow: bool) -> Step:
    """Take one step, on a loop; see `settle_soon`."""
    return await asyncio.to_thread(lead.step, usable, most) if is_slow else lead.step(usable, most)


async def settle_soon(lead: Lead, usable: Usable, most: float, *, is_slow: bool) -> Step:
    """As `settle`, on a loop.

    Args:
        lead: has joined.
        usable: whether a value in the store will do; called in another thread where `is_slow`.
        most: seconds to wait for another process.
        is_slow: of the store; its steps are then taken in the loop's default executor.
    """
    while True:
        step = await step_soon(lead, usable, most, is_slow=is_slow)
        if step.do is not Do.PAUSE:
            return step
        await asyncio.sleep(step.pause)


def outcome(wait: Wait, seconds: float) -> object:
    """Return, in a thread, what the leader ends with, or `Nothing.TIMED_OUT` after `seconds`."""
    told = threading.Event()
    heard: list[object] = []

    def hear(said: object) -> None:
        heard.append(said)
        told.set()

    try:
        wait.add(hear)
        told.wait(seconds)
    finally:
        wait.leave()
    return heard[0] if heard else Nothing.TIMED_OUT


async def outcome_soon(wait: Wait, seconds: float) -> object:
    """As `outcome`, on a loop."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[object] = loop.create_future()

    def settle_future(said: object) -> None:
        if not heard.done():
            heard.set_result(said)

    def hear(said: object) -> None:
        try:
            loop.call_soon_threadsafe(settle_future, said)
        except RuntimeError:  # the loop was closed meanwhile, and with it whoever waited
            return

    try:
        wait.add(hear)
        async with asyncio.timeout(seconds):
            return await heard
    except TimeoutError:
        return Nothing.TIMED_OUT
    finally:
        wait.leave()
