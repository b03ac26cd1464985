"""How many workers and threads: decisions from numbers, with the reason in words. Nothing is measured here."""

from typing import Literal, NamedTuple

from hotplate.errors import ExitCode, HotplateError
from hotplate.machine.cores import Cores
from hotplate.machine.memory import Memory
from hotplate.settings.units import show_size_roughly

# The rest is for page cache, kernel buffers and what workers grow by while they serve. A choice, not a measurement.
USABLE = 0.9


class Decision(NamedTuple):
    """A number and how it came about.

    Args:
        value: the number decided on.
        why: in words, such as "2 cores: affinity 4, cgroup quota 1.5".
        warning: what speaks against it, "" if nothing does.
    """

    value: int
    why: str
    warning: str = ""


def workers(cores: Cores, memory: Memory, per_worker: int, base: int, asked: int = 0) -> Decision:
    """Decide how many workers to run: one per core, as far as memory goes.

    Args:
        cores: what we may use of the machine.
        memory: what we may use of its memory.
        per_worker: private bytes of one warm worker; 0 if not measured yet, which leaves memory out of account.
        base: bytes taken once, whatever the number of workers: master, generation and what workers share.
        asked: the number the user wants, 0 for none; it is honoured with a warning when memory does not suffice.

    Raises:
        HotplateError: NO_MEMORY when not even one worker fits.

    Example:
        >>> workers(Cores(4, "4 cores: affinity 4"), Memory(10**9, "..."), 3 * 10**8, 10**8).value
        2
    """
    fitting = fit(memory, per_worker, base)
    if fitting is not None and fitting < 1:
        raise _no_memory(memory, per_worker, base)
    if asked:
        if fitting is not None and asked > fitting:
            return Decision(asked, "asked for", _too_many(asked, fitting, memory, per_worker))
        return Decision(asked, "asked for")
    if fitting is not None and fitting < cores.count:
        each = f"a worker takes {show_size_roughly(per_worker)} of its own"
        fits = "1 fits" if fitting == 1 else f"{fitting} fit"
        return Decision(fitting, f"{fits} into memory ({memory.reason}; {each}); {cores.reason}")
    return Decision(cores.count, cores.reason)


def tasks(cores: Cores, memory: Memory, per_task: int, base: int, asked: int | Literal["auto"] = "auto") -> Decision:
    """Decide how many tasks to run at once: one per core, as far as memory goes, and at least one.

    Args:
        cores: what we may use of the machine; requests come first, since tasks run at a lower priority.
        memory: what we may use of its memory.
        per_task: private bytes of a process that runs them, and of the one that hands them out; 0 if not known.
        base: bytes taken by everything else.
        asked: the number the user wants; it is honoured with a warning when memory does not suffice.

    Example:
        >>> tasks(Cores(4, "4 cores: affinity 4"), Memory(10**9, "..."), 10**8, 5 * 10**8).value
        3
    """
    fitting = fit(memory, per_task, base + per_task)
    if asked != "auto":
        too_many = fitting is not None and asked > fitting
        return Decision(asked, "asked for", _too_many_tasks(asked, per_task, memory) if too_many else "")
    if fitting is None or fitting >= cores.count:
        return Decision(cores.count, cores.reason)
    why = f"as many as fit into memory beside the web workers; {cores.reason}"
    return Decision(fitting, why) if fitting else Decision(1, why, _too_many_tasks(1, per_task, memory))


def fit(memory: Memory, per_worker: int, base: int) -> int | None:
    """Return how many workers fit into memory: floor((limit * 0.9 - base) / per worker); None if not measured.

    Example:
        >>> fit(Memory(1000, ""), per_worker=300, base=100)
        2
    """
    if per_worker <= 0:
        return None
    return max(0, int(memory.limit_bytes * USABLE - base) // per_worker)


def threads(asked: int | Literal["auto"], max_threads: int, *, on_loop: bool = False) -> Decision:
    """Decide the most threads a worker may use at once.

    Args:
        asked: a number fixes it; "auto" lets the pool follow measurement up to `max_threads`.
        max_threads: bound for "auto".
        on_loop: the app runs on the event loop (ASGI), so that threads only serve its sync parts.

    Example:
        >>> threads("auto", 256).value, threads(8, 256).value
        (256, 8)
    """
    if asked != "auto":
        return Decision(asked, "asked for")
    if on_loop:
        return Decision(max_threads, f"ASGI: the event loop, and up to {max_threads} threads for its sync parts")
    return Decision(max_threads, f"as measured, up to {max_threads}: few for computing, many for waiting")


def _too_many(asked: int, fitting: int, memory: Memory, per_worker: int) -> str:
    return (
        f"{asked} workers of {show_size_roughly(per_worker)} each do not fit into memory ({memory.reason}), "
        f"{fitting} would: the kernel may kill them. Try --workers {fitting}."
    )


def _too_many_tasks(count: int, per_task: int, memory: Memory) -> str:
    what = "1 task at a time does" if count == 1 else f"{count} tasks at once do"
    return (
        f"{what} not fit into memory beside the web workers ({memory.reason}; {show_size_roughly(per_task)} for each"
        " process): the kernel may kill some. Try fewer --workers, or --task-workers 0 and `hotplate tasks run` on"
        " another machine."
    )


def _no_memory(memory: Memory, per_worker: int, base: int) -> HotplateError:
    needed = int((base + per_worker) / USABLE)
    return HotplateError(
        "start a worker",
        f"it needs {show_size_roughly(per_worker)} beside {show_size_roughly(base)} for everything else, "
        f"and the limit is {memory.reason}",
        f"Allow at least {show_size_roughly(needed)}, or make the app load less.",
        code=ExitCode.NO_MEMORY,
    )
