"""Waiting for conditions, and ports nobody else will take meanwhile."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Long enough for a starved machine; what is waited for normally takes milliseconds, so only a failure pays it.
DEADLINE = 60.0

# Linux hands out 32768 and up to outgoing connections unless told otherwise (Documentation/networking/ip-sysctl.rst).
_LOWEST_PORT = 15_000
_FIRST_EPHEMERAL_PORT = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def wait_until(
    predicate: Callable[[], T],
    deadline: float = DEADLINE,
    *,
    what: str = "",
    ignoring: tuple[type[Exception], ...] = (ConnectionError,),
) -> T:
    """Polls until `predicate` is true, and returns what it returned.

    Args:
        predicate: asked again and again; cheap, and safe to ask often.
        deadline: seconds until giving up.
        what: the condition in words, for the failure message.
        ignoring: exceptions of the predicate that mean "not yet".

    Raises:
        AssertionError: the deadline passed; says what was waited for and what was seen last.

    Example:
        wait_until(lambda: not psutil.pid_exists(pid), what="the killed worker is gone")
    """
    gives_up = time.monotonic() + deadline
    pause = 0.005
    while True:
        failure: Exception | None = None
        try:
            if seen := predicate():
                return seen
            last = repr(seen)
        except ignoring as error:
            failure, last = error, repr(error)
        if time.monotonic() > gives_up:
            message = f"waited {deadline:g} s in vain until {what or predicate}; last seen: {last}"
            raise AssertionError(message) from failure
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port() -> int:
    """Returns a TCP port on 127.0.0.1 that is free now and likely to stay so until you bind it.

    It lies below the ports the kernel gives to outgoing connections, since those come and go all the time while tests
    run in parallel; and it is picked at random, so that two processes asking at once rarely get the same one.
    """
    first_ephemeral = _FIRST_EPHEMERAL_PORT
    with suppress(OSError, ValueError):
        first_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    candidates = range(_LOWEST_PORT, first_ephemeral) if first_ephemeral > _LOWEST_PORT + 1000 else [0]
    # Not seeded by a test's or a plugin's random.seed(), or all workers would pick the same.
    choose = random.SystemRandom().choice
    for _ in range(100):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", choose(candidates)))
            return int(probe.getsockname()[1])
    message = "no free port on 127.0.0.1 in 100 tries"
    raise AssertionError(message)


def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Says whether somebody accepts TCP connections there."""
    with closing(socket.socket()) as probe:
        probe.settimeout(5)
        return probe.connect_ex((host, port)) == 0
