"""What one worker has served and is serving, as it tells its master and as `hotplate status` shows it."""

from __future__ import annotations

import msgspec


class Traffic(msgspec.Struct, frozen=True):
    """What one worker has served and is serving, since it began; durations in seconds.

    Args:
        requests: answered ones; refused ones are not among them.
        in_flight: being answered, without those whose time-out has answered.
        errors: responses with a status of 500 or more, time-outs included.
        timeouts: requests that ran longer than the `timeout` setting.
        refused: turned away as malformed or too large.
        p50: half of the requests took no longer than this; 95 % and 99 % for the next two.
        p95: see `p50`.
        p99: see `p50`.
        cpu_per_request: mean time a request computed.
        wait_per_request: mean time a thread held a request without computing: I/O, locks, the GIL.
        threads: that take requests now.
        queued: requests that wait for a thread now.
        oldest_queued: how long the first of them has been waiting.
        active_connections: distinct clients that sent a request since the previous record, or whose request is in
            flight.
        idle: since the last request ended; 0 while one is in flight.
        latency: (bucket, count) pairs of a `Histogram`, from which those of several workers are added up.
    """

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
    latency: tuple[tuple[int, int], ...] = ()
