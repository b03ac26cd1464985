"""What one worker has served and is serving, as it tells its master and as `hotplate status` shows it."""

from __future__ import annotations

import msgspec


class Traffic(msgspec.Struct, frozen=True):
    """What one worker has served and is serving, since it began; durations in seconds."""

    requests: int = 0
    in_flight: int = 0
    errors: int = 0
    timeouts: int = 0
    refused: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    cpu_per_request: float = 0.0
    wait_per_request: float = 0.0
    threads: int = 0
    queued: int = 0
    oldest_queued: float = 0.0
    active_connections: int = 0
    idle: float = 0.0
