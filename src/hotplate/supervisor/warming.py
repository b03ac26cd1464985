"""Getting a worker warm: the app's own warm-up functions, then requests through the whole pipeline, in this process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from hotplate.apps import frames, warmups
from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor.messages import Warmed

_log = logging.getLogger("hotplate.worker")

_AGAIN = 5
_AGAIN_FOR = 0.01  # seconds, so that a killed worker's replacement is ready within a tenth of a second
_ADVICE = "Correct it, warm up with another page (--warmup PATH) or with none (--no-warmup-request)."


class Outcome(Protocol):
    """How a warm-up request went; `error` is what the app raised or logged, `seconds` its duration."""

    @property
    def status(self) -> int: ...  # noqa: D102  see above
    @property
    def seconds(self) -> float: ...  # noqa: D102  see above
    @property
    def error(self) -> BaseException | None: ...  # noqa: D102  see above


class Rehearses(Protocol):
    """What can send a GET for a path through the app."""

    async def warm(self, path: str) -> Outcome: ...  # noqa: D102  see above


class Warming:
    """One worker's warm-up; `current` is the step that is being taken.

    Args:
        gateway: sends the requests.
        paths: what to request.
    """

    def __init__(self, gateway: Rehearses, paths: Sequence[str]) -> None:
        self._gateway = gateway
        self._paths = paths
        self.current = ""

    async def run(self) -> tuple[Warmed, ...]:
        """Take every step in order.

        Raises:
            HotplateError: WARMUP_FAILED; a function raised, or a request was answered with 5xx. A 404 is no failure:
                not every app has a front page.
        """
        functions = [await self._function(item) for item in warmups.registered()]
        return (*functions, *[await self._request(path) for path in self._paths])

    async def _function(self, item: warmups.Warmup) -> Warmed:
        """Run a function in a thread, as views are, so that the worker still hears its master; async on the loop."""
        self.current = item.name
        began = time.perf_counter()
        loop = asyncio.get_running_loop()

        def finish(coroutine: Coroutine[Any, Any, object]) -> object:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        await asyncio.to_thread(warmups.run, item, finish)
        return Warmed(item.name, time.perf_counter() - began)

    async def _request(self, path: str) -> Warmed:
        self.current = f"GET {path}"
        outcome = await self._gateway.warm(path)
        if outcome.status >= 500:
            raise _failed(path, outcome)
        if outcome.error is not None:
            _log.warning("The warm-up request for %s was answered %d, but %r", path, outcome.status, outcome.error)
        elif outcome.status >= 400 and path != "/":
            _log.warning("The warm-up request for %s was answered %d and may warm nothing", path, outcome.status)
        await self._again(path)
        return Warmed(path, outcome.seconds)

    async def _again(self, path: str) -> None:
        """Repeat a quick request: the second is not yet as fast as the hundredth.

        CPython 3.11 specialises code after some runs of it (PEP 659), and pages that are shared with the generation are
        copied when they are first written to.
        """
        until = time.monotonic() + _AGAIN_FOR
        for _ in range(_AGAIN):
            if time.monotonic() > until or (await self._gateway.warm(path)).status >= 500:
                return

    def too_slow(self, boot_timeout: float) -> HotplateError:
        """Return the error for a boot that did not end in time."""
        step = f"warm up with {self.current}" if self.current else "start a worker"
        return HotplateError(
            step,
            f"it was not done {boot_timeout:g} s after the worker's start (boot_timeout)",
            "Allow more with --boot-timeout, or make it shorter.",
            code=ExitCode.WARMUP_FAILED if self.current else ExitCode.WORKER_BOOT_FAILED,
        )


def _failed(path: str, outcome: Outcome) -> HotplateError:
    error = outcome.error
    cause, detail = f"it was answered {outcome.status}", ""
    if error is not None:
        where = frames.place(error)
        cause += f" after {frames.headline(error)}" + (f" ({where})" if where else "")
        detail = frames.trimmed(error)
    return HotplateError(f"warm up with GET {path}", cause, _ADVICE, code=ExitCode.WARMUP_FAILED, detail=detail)
