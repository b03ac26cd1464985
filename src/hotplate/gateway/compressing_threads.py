"""Two threads for bodies so large that compressing them would hold up the event loop; the codecs let go of the GIL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_THREADS = 2  # they only compute; a worker has one core to itself


class Threads:
    """Begun at the first use, and begun anew after a fork, which threads do not survive."""

    def __init__(self) -> None:
        self._begun: tuple[int, ThreadPoolExecutor] | None = None

    async def run(self, loop: asyncio.AbstractEventLoop, work: Callable[[], bytes]) -> bytes:
        """Return what `work` returned, while the loop goes on."""
        begun = self._begun
        if begun is None or begun[0] != os.getpid():
            self._begun = begun = (os.getpid(), ThreadPoolExecutor(_THREADS, "hotplate-compress"))
        return await loop.run_in_executor(begun[1], work)
