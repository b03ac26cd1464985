"""A process that asks for one expired value many times at once, in threads and in coroutines.

`python -m tests.cache.ask_at_once LOG COUNT`: says "ready", has the value expire if it is told so, waits for a line,
and writes what all have got. Every computation is a line in LOG.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hotplate

LOG, COUNT = Path(sys.argv[1]), int(sys.argv[2])
state = {"is_expired": False}


def note(name: str) -> str:
    """Write down that somebody computes."""
    with LOG.open("a") as log:
        log.write(f"{'expired-' if state['is_expired'] else ''}{name}\n")
    time.sleep(0.2)  # a computation that takes its time; nothing waits for it to be over by then
    return "new" if state["is_expired"] else "old"


@hotplate.cached(ttl=3600, tags="numbers")
def number() -> str:
    """Compute in a thread."""
    return note("sync")


@hotplate.cached(ttl=3600, tags="numbers")
async def number_soon() -> str:
    """Compute on a loop."""
    return await asyncio.to_thread(note, "async")


async def many() -> list[str]:
    """Ask in coroutines."""
    return await asyncio.gather(*(number_soon() for _ in range(COUNT)))


def main() -> None:
    """Ask."""
    number()
    asyncio.run(many())
    state["is_expired"] = True
    print("ready", flush=True)  # noqa: T201  # the parent reads it
    if sys.stdin.readline() == "expire\n":
        hotplate.cache.invalidate(tag="numbers")
        print("expired", flush=True)  # noqa: T201  # the parent reads it
        sys.stdin.readline()
    together = threading.Barrier(COUNT + 1)

    def one() -> str:
        together.wait()
        return number()

    with ThreadPoolExecutor(COUNT) as pool:
        asked = [pool.submit(one) for _ in range(COUNT)]
        together.wait()
        got = asyncio.run(many())
        got += [each.result() for each in asked]
    print(json.dumps(got), flush=True)  # noqa: T201  # the parent reads it


if __name__ == "__main__":
    main()
