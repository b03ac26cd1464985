"""A response that is sent while the app still makes it: the bridge between its thread and the event loop.

PEP 3333 ("Buffering and Streaming") lets a server go on transmitting a block in another thread while the app makes the
next one. So the app's thread only leaves its blocks here; a pump on the loop sends what has gathered, in one message
when it is behind, and the thread waits once more than `HIGH_WATER` bytes are unsent. A row of CSV then costs about a
microsecond instead of a round trip between two threads, and a server-sent event still leaves at once.

The client's going is heard by a watcher beside the pump. A block the app is busy making cannot be interrupted: it ends
when the app next comes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from hotplate.gateway.types import Message, Receive, Send
from hotplate.gateway.wsgi.host import Host

# Two blocks of a file: one on its way, one being read. (asyncio's own high-water mark is 64 KiB, Node's 16 to 64.)
HIGH_WATER = 256 * 1024


class ClientGoneError(ConnectionError):
    """The client closed the connection before the response was complete."""


class Stream:
    """Sends one response's blocks; used by one thread of the pool.

    Args:
        host: how to reach the loop.
        receive: as ASGI has it; asked only for the disconnect.
        send: as ASGI has it.
    """

    def __init__(self, host: Host, receive: Receive, send: Send) -> None:
        self._host = host
        self._receive = receive
        self._send = send
        self.gone = False
        self._lock = threading.Lock()
        self._blocks: list[bytes] = []
        self._unsent = 0
        self._woken = False
        self._ending = False
        self._complete = False
        self._room = threading.Event()
        self._over = threading.Event()
        self._more = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pumping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def open(self, start: Message, block: bytes) -> None:
        """Send the start and the first block; from here on the pool does without this thread."""
        self._host.blocking(lambda: self._begin(start, block))
        self._host.detach()

    async def _begin(self, start: Message, block: bytes) -> None:
        try:
            await self._send(start)
            await self._send({"type": "http.response.body", "body": block, "more_body": True})
        except OSError as error:  # as ASGI 2.4 says it of a client that is gone
            raise ClientGoneError(str(error)) from error
        if self.gone:
            raise ClientGoneError("the client closed the connection")
        self._loop = asyncio.get_running_loop()
        self._watching = self._loop.create_task(self._watch())
        self._pumping = self._loop.create_task(self._pump(self._watching))

    def push(self, block: bytes) -> None:
        """Have `block` sent; waits while too much is unsent. Raises `ClientGoneError`."""
        if self.gone:
            raise ClientGoneError("the client closed the connection")
        if not block:
            return
        with self._lock:
            self._blocks.append(block)
            self._unsent += len(block)
            full = self._unsent > HIGH_WATER
            if full:
                self._room.clear()
            wake, self._woken = not self._woken, True
        if wake and self._loop is not None:
            self._loop.call_soon_threadsafe(self._more.set)
        if full:
            self._room.wait()
        if self.gone:
            raise ClientGoneError("the client closed the connection")

    def finish(self, *, whole: bool) -> None:
        """Wait until all is sent; unless `whole`, leave the response without its end. Raises `ClientGoneError`."""
        with self._lock:
            self._ending = True
            self._complete = whole
        if self._loop is None:  # it never began
            return
        self._loop.call_soon_threadsafe(self._more.set)
        self._over.wait()
        if self.gone and whole:
            raise ClientGoneError("the client closed the connection")

    def leave(self) -> None:
        """Stop, as nobody listens any more; on the loop."""
        self.gone = True
        self._room.set()
        if self._pumping is not None:
            self._pumping.cancel()

    async def _pump(self, watching: asyncio.Task[None]) -> None:
        sent = False
        try:
            while not sent:
                await self._more.wait()
                with self._lock:
                    blocks, self._blocks, self._unsent = self._blocks, [], 0
                    ending = self._ending
                    self._woken = False
                    self._more.clear()
                self._room.set()
                end = ending and self._complete
                if blocks or end:
                    body = b"".join(blocks)
                    if end:  # the server itself may report the response's end as a disconnect
                        watching.cancel()
                    await self._send({"type": "http.response.body", "body": body, "more_body": not end})
                sent = ending
        except OSError:
            sent = False
        finally:
            self.gone = self.gone or not sent
            watching.cancel()
            self._room.set()
            self._over.set()

    async def _watch(self) -> None:
        # Whatever else goes wrong while listening concerns the request, which has been read already.
        with contextlib.suppress(Exception):
            while (await self._receive())["type"] != "http.disconnect":
                pass
            self.leave()
