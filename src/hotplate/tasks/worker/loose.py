"""What is taken from kombu, whose type hints are unfinished: it ships the marker, and leaves most functions bare."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from kombu import entity

Connection: TypeAlias = Any
Message: TypeAlias = Any

Exchange: Final[Any] = entity.Exchange
Queue: Final[Any] = entity.Queue

__all__ = ["Connection", "Exchange", "Message", "Queue"]
