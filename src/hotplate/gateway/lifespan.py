"""ASGI's lifespan protocol, the application's side of a worker's start and stop.

https://asgi.readthedocs.io/en/latest/specs/lifespan.html: an app that raises before it has answered `startup` does not
speak the protocol, and is served all the same.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hotplate.errors import ExitCode, HotplateError
from hotplate.gateway.types import ASGIApp, Message, Scope

_log = logging.getLogger("hotplate.gateway")


class Lifespan:
    """Runs the lifespan of one app in the running loop.

    Args:
        app: an ASGI app.
        name: how errors call it.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._name = name
        self._orders: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Tell the app to start; raises `HotplateError` when it says that it failed."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is None:
            self._task = None
        elif answer["type"] == "lifespan.startup.failed":
            raise HotplateError(
                f"start {self._name}",
                f"its lifespan failed: {answer.get('message') or 'it gave no reason'}",
                "Mend the app's start-up code.",
                code=ExitCode.WORKER_BOOT_FAILED,
            )

    async def shutdown(self) -> None:
        """Tell the app to stop, when it had started."""
        if self._task is None or self._task.done():
            return
        answer = await self._ask("lifespan.shutdown")
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            _log.error("The app's lifespan failed while stopping: %s", answer.get("message", ""))

    async def _ask(self, order: str) -> Message | None:
        task = self._task
        if task is None:
            return None
        self._orders.put_nowait({"type": order})
        answered = asyncio.get_running_loop().create_task(self._answers.get())
        await asyncio.wait((answered, task), return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            return answered.result()
        answered.cancel()
        if not self._answers.empty():
            return self._answers.get_nowait()
        return None

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._orders.get, self._answer)
        except Exception as error:  # noqa: BLE001  # "does not speak lifespan" is said by raising anything
            _log.debug("The app does not speak lifespan: %r", error)

    async def _answer(self, message: Message) -> None:
        self._answers.put_nowait(message)
