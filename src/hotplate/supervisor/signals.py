"""What each signal means to the master: gunicorn's and Unicorn's vocabulary, which operators' scripts know."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from enum import Enum


class Action(Enum):
    """What the master does on a signal."""

    STOP = "drain and end; the second time, end at once"
    END = "end at once"
    RELOAD = "take in the new code"
    GROW = "one worker more"
    SHRINK = "one worker less"
    NOTHING = "reserved"


SIGNALS: dict[signal.Signals, Action] = {
    signal.SIGTERM: Action.STOP,
    signal.SIGINT: Action.STOP,
    signal.SIGQUIT: Action.END,
    signal.SIGHUP: Action.RELOAD,
    signal.SIGTTIN: Action.GROW,
    signal.SIGTTOU: Action.SHRINK,
    # gunicorn reopens its logs and re-executes itself on these; a script that sends them must not kill us.
    signal.SIGUSR1: Action.NOTHING,
    signal.SIGUSR2: Action.NOTHING,
}


def install(act: Callable[[signal.Signals, Action], None], child_ended: Callable[[], None]) -> None:
    """Have signals call `act`, in the running loop, and ended children `child_ended`."""
    loop = asyncio.get_running_loop()
    for number, action in SIGNALS.items():
        loop.add_signal_handler(number, act, number, action)
    loop.add_signal_handler(signal.SIGCHLD, child_ended)
