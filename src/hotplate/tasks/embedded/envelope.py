"""A message as kombu knows it, and as bytes of the file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from kombu.exceptions import EncodeError

Message = dict[str, Any]
"""kombu's raw form: body, content-type, content-encoding, headers, properties."""


def encode(message: Message) -> bytes:
    """Return a message as bytes: a body of bytes needs no base64 here.

    Raises:
        EncodeError: a header or property is of a kind that no other process could read.
    """
    try:
        return _ENCODER.encode(message)
    except (TypeError, OverflowError, ValueError) as problem:
        raise EncodeError(f"a message's headers and properties must be plain data: {problem}") from problem


def decode(payload: bytes) -> Message:
    """Return what `encode` was given."""
    message: Message = _DECODER.decode(payload)
    return message


def due(message: Message) -> float | None:
    """Return when a message is to be given out (Celery's header `eta`), in seconds since 1970; None for at once.

    A time without a zone stays the worker's to hold: only its app's settings say which zone is meant.

    Example:
        >>> due({"headers": {"eta": "2030-01-01T00:00:00+00:00"}})
        1893456000.0
    """
    text = (message.get("headers") or {}).get("eta")
    if not isinstance(text, str):
        return None
    try:
        eta = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if eta.tzinfo is None else eta.timestamp()


def _plain(thing: Any) -> Any:  # noqa: ANN401  # whatever somebody has put into a header
    if isinstance(thing, str):
        return str.__str__(thing)
    if isinstance(thing, Mapping):
        return dict(thing)
    raise TypeError(f"{type(thing).__name__} is not")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_plain)
_DECODER: Final = msgspec.msgpack.Decoder()
