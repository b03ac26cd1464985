"""How processes, their ends and durations are called in what an instance says of itself."""

from __future__ import annotations

import signal

from hotplate.supervisor.messages import Role

_CREW = {"tasks": "the tasks process", "beat": "the beat process"}


def who(role: Role, slot: int) -> str:
    """Return what a process is called.

    Args:
        role: what it does.
        slot: which of the web workers it is.

    Example:
        >>> who("web", 2), who("tasks", 0)
        ('worker 2', 'the tasks process')
    """
    return _CREW.get(role, f"worker {slot}")


def first(text: str) -> str:
    """Return a phrase as it begins a sentence."""
    return text[:1].upper() + text[1:]


def ending(status: int | None) -> str:
    """Return a process's end in words.

    Args:
        status: as of `os.waitstatus_to_exitcode`; None if not known.

    Example:
        >>> ending(-9), ending(3), ending(None)
        ('was killed by SIGKILL', 'ended with exit status 3', 'ended')
    """
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def workers(count: int) -> str:
    """Return the noun for so many of them."""
    return "worker" if count == 1 else "workers"


def serving(count: int) -> str:
    """Return what a version does that serves with so many web workers; without any it is there for tasks."""
    return f"serves with {count} warm {workers(count)}" if count else "runs the tasks"


def took(seconds: float) -> str:
    """Return a duration as people say it: three digits at most."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f}".removesuffix(".0") + " h"
