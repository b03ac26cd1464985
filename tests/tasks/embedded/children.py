"""Children that die when they are told to."""

import os
import signal
import sys
import traceback
from collections.abc import Callable


def run(work: Callable[[], None]) -> int:
    """Does something in a forked child, and returns its wait status; 0 if it came to its end."""
    child = start(work)
    return os.waitpid(child, 0)[1]


def start(work: Callable[[], None]) -> int:
    """Does something in a forked child, and returns its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001  # a child must never return into the test that forked it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def die() -> None:
    """Dies as the kernel's memory killer would have it."""
    os.kill(os.getpid(), signal.SIGKILL)
