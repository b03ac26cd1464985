"""What layers and adapters ask of whoever drives their coroutines; decides nothing itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Host(Protocol):
    """Moves a request between the threads of a worker, whatever server holds it."""

    async def on_loop(self) -> None:
        """From here on `receive()` and asyncio may be used."""

    async def call(self, function: Callable[[], Result], /) -> Result:
        """Run `function` in a thread of the pool and go on with what it returned.

        The coroutine may go on in that thread: then no event loop runs there, and it may block.
        """

    def blocking(self, awaitable: Callable[[], Awaitable[Result]], /) -> Result:
        """In a pool thread: make the awaitable on the event loop, have it awaited there, and wait for the outcome."""

    def detach(self) -> None:
        """In a pool thread: this call may last as long as its client likes; the pool must not count on the thread."""


class Background(Host, Protocol):
    """A host that can also be given work nobody waits for."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], /) -> bool:
        """Run a coroutine that has not begun on the event loop, soon; may be called in any thread.

        It may use the host as a request's does. What it raises is logged and goes no further.

        Returns:
            False when the loop has ended: the coroutine is closed without having begun.
        """
