"""Request bodies, read on the event loop before a thread is taken, so that a slow client never holds one."""

from __future__ import annotations

import asyncio
import io
import tempfile
from typing import IO, NamedTuple

from hotplate.gateway.types import Receive

# Written in blocks of this size, in a thread: the kernel may make a writer wait for the disk.
_BLOCK = 256 * 1024


class Body(NamedTuple):
    """A whole request body: where to read it and its length in bytes; a spooled one must be closed."""

    file: IO[bytes]
    length: int
    spooled: bool


async def read(receive: Receive, spool_size: int) -> Body | None:
    """Read a body to its end; None when the client went away before that.

    Args:
        receive: as ASGI has it. What it raises, such as the refusal of a body that is too large, passes through.
        spool_size: bytes kept in memory; a larger body goes to a temporary file.

    Raises:
        OSError: the temporary file could not be written.
    """
    message = await receive()
    if message["type"] != "http.request":
        return None
    chunk = message.get("body", b"")
    if not message.get("more_body") and len(chunk) <= spool_size:
        return Body(io.BytesIO(chunk), len(chunk), spooled=False)
    parts, held, more = [chunk], len(chunk), bool(message.get("more_body"))
    while more and held <= spool_size:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        held += len(parts[-1])
        more = bool(message.get("more_body"))
    if held <= spool_size:
        return Body(io.BytesIO(b"".join(parts)), held, spooled=False)
    return await _spool(receive, parts, more=more)


async def _spool(receive: Receive, parts: list[bytes], *, more: bool) -> Body | None:
    """Write what came and what is still to come to a file that has no name and goes when it is closed."""
    loop = asyncio.get_running_loop()
    file = await loop.run_in_executor(None, tempfile.TemporaryFile)
    length = 0
    finished = False
    try:
        while True:
            held = sum(map(len, parts))
            if held >= _BLOCK or not more:
                await loop.run_in_executor(None, file.write, b"".join(parts))
                parts, length = [], length + held
            if not more:
                await loop.run_in_executor(None, file.seek, 0)
                finished = True
                return Body(file, length, spooled=True)
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            more = bool(message.get("more_body"))
    finally:
        if not finished:
            file.close()
