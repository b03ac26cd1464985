"""What to do with a result that is larger than the limit: what is not the result goes first, then the task fails."""

from collections.abc import Callable
from typing import Any

from celery import states
from kombu.exceptions import EncodeError

# Characters kept of a message or a traceback that is too long to be stored.
_KEPT = 2000


class ResultTooLargeError(EncodeError):
    """A task returned more than its result may take; it is an encoding error because Celery fails the task on those."""


def fitted(meta: dict[str, Any], state: str, encode: Callable[[object], str | bytes], limit: int) -> bytes:
    """Encode what is kept of a task so that it takes `limit` bytes at most.

    Over the limit, the arguments are left out, since they are the message's and not the result's; of an exception its
    message and traceback are cut.

    Args:
        meta: as Celery composes it; left alone.
        state: of the task.
        encode: makes JSON of it, compressed if the app wants that.
        limit: bytes.

    Raises:
        ResultTooLargeError: the result itself is over the limit.
    """
    value = as_bytes(encode(meta))
    if len(value) <= limit:
        return value
    meta = {key: None if key in {"args", "kwargs"} else kept for key, kept in meta.items()}
    value = as_bytes(encode(meta))
    if len(value) <= limit:
        return value
    if state not in states.EXCEPTION_STATES:
        raise too_large(len(value), limit)
    return as_bytes(encode(meta | {"result": _cut(meta["result"]), "traceback": _end(meta["traceback"])}))


def too_large(size: int, limit: int) -> ResultTooLargeError:
    """Return the error that names the size, the limit, and what to do."""
    return ResultTooLargeError(
        f"The result is {_bytes(size)} and may be {_bytes(limit)} (hotplate_result_limit)."
        " Keep it in the database or a file, and return its key from the task."
    )


def as_bytes(encoded: str | bytes) -> bytes:
    """Return what an encoder made as bytes."""
    return encoded.encode() if isinstance(encoded, str) else encoded


def _cut(result: object) -> object:
    if not isinstance(result, dict):
        return str(result)[:_KEPT]
    message = result.get("exc_message", "")
    parts = message if isinstance(message, list | tuple) else [message]
    return {**result, "exc_message": [str(part)[:_KEPT] for part in parts[:10]]}


def _end(traceback: object) -> str | None:
    return None if traceback is None else str(traceback)[-_KEPT:]


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count:,} bytes"
