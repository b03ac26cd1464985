"""What is read of a scope, and how a request without a body and a message to nobody look."""

from __future__ import annotations

from asyncio import Event
from collections.abc import Awaitable, Generator, Iterable

from hotplate.gateway.types import Message, Receive, Scope


class _Nothing:
    """Awaits nothing."""

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]  # an empty iterator is all that awaiting needs


NOTHING: Awaitable[None] = _Nothing()  # where a message is dropped


def first(fields: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """Return the value of the first field of a name, empty for none.

    Example:
        >>> first([(b"host", b"a")], b"host"), first([], b"host")
        (b'a', b'')
    """
    for name, value in fields:
        if name == wanted:
            return value
    return b""


def raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent; servers other than ours may leave that out."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path


def bodiless(left: Event) -> Receive:
    """Return the `receive` of a request without a body, whose client leaves when `left` is set and not before.

    Django listens for the client's leaving while its view runs, and must not hear of it before it has answered.
    """
    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        message = next(requests, None)
        if message is None:
            await left.wait()
        return message or {"type": "http.disconnect"}

    return receive
