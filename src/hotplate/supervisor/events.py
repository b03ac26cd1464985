"""What happens in the life of an instance, one record per event, each with the line that says so.

The master hands them to a callback; printing (as text, or as JSON by msgspec) is the command line's business.
Durations are seconds, sizes bytes. `level` is "info", "warning" or "error"; `detail` holds lines to show below.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from hotplate.settings.units import show_size_roughly
from hotplate.supervisor.messages import Failure, Role, Warmed
from hotplate.supervisor.words import ending, first, serving, took, who, workers


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened.

    Example:
        >>> Woken().line()
        'A connection came: starting the workers again'
    """

    level: ClassVar[Literal["info", "warning", "error"]] = "info"

    def line(self) -> str:
        """Return the one line that says it."""
        return str(self)

    def detail(self) -> str:
        """Return further lines, such as a stack or the app's traceback; "" for none."""
        failure = getattr(self, "failure", None)
        return failure.detail if isinstance(failure, Failure) else str(getattr(self, "stack", ""))


class Starting(Event, frozen=True):
    """The master runs; nothing is imported yet."""

    target: str
    pid: int

    def __str__(self) -> str:
        return f"Starting {self.target or 'the app in this folder'} (master, pid {self.pid})"


class Listening(Event, frozen=True):
    """The sockets are open; connections wait until a worker is warm."""

    addresses: tuple[str, ...]

    def __str__(self) -> str:
        return f"Listening on {', '.join(self.addresses)}"


class GenerationImported(Event, frozen=True):
    """A code version is ready to be served."""

    generation: int
    pid: int
    app: str
    kind: str
    framework: str
    seconds: float
    preloaded: bool
    why: str
    release: str = ""
    release_why: str = ""

    def __str__(self) -> str:
        what = " ".join(each for each in (self.framework, self.kind) if each)
        shared = f"imported in {took(self.seconds)}, once for all workers ({self.why})"
        return f"App {self.app}{f' ({what})' if what else ''}: {shared if self.preloaded else self.why}"


class PreloadGivenUp(Event, frozen=True):
    """The app is not safe to fork."""

    level = "warning"
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"Each worker imports the app by itself, since forking it is not safe: {'; '.join(self.reasons)}"


class WorkersDecided(Event, frozen=True):
    """How many workers there will be."""

    workers: int
    why: str

    def __str__(self) -> str:
        return f"Workers: {self.workers} ({self.why})"


class Caution(Event, frozen=True):
    """Something works less well than it could; said once."""

    level = "warning"
    text: str

    def __str__(self) -> str:
        return self.text


class WorkerReady(Event, frozen=True):
    """A worker is warm and accepts."""

    slot: int
    pid: int
    seconds: float
    private: int
    warmed: tuple[Warmed, ...]
    role: Role = "web"

    def __str__(self) -> str:
        warmed = ", ".join(f"{each.what} {took(each.seconds)}" for each in self.warmed)
        memory = f", {show_size_roughly(self.private)} of its own" if self.private else ""
        name = first(who(self.role, self.slot)) + ("" if self.role == "web" else " is")
        facts = f"pid {self.pid}{memory}{f'; warm: {warmed}' if warmed else ''}"
        return f"{name} ready after {took(self.seconds)} ({facts})"


class Serving(Event, frozen=True):
    """Every worker is warm."""

    addresses: tuple[str, ...]
    workers: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"Serving on {', '.join(self.addresses)} with {self.workers} warm {workers(self.workers)}"
            f" after {took(self.seconds)}"
        )


class WorkerDied(Event, frozen=True):
    """A worker ended that should not have; `status` is None where it is not known."""

    level = "warning"
    slot: int
    pid: int
    status: int | None
    lived: float
    out_of_memory: bool = False
    role: Role = "web"

    def __str__(self) -> str:
        cause = " by the kernel, for lack of memory," if self.out_of_memory else ""
        return (
            f"{first(who(self.role, self.slot))} (pid {self.pid}) {ending(self.status)}{cause} after"
            f" {took(self.lived)}; replacing it"
        )


class CrashLoop(Event, frozen=True):
    """A slot's workers die again and again; the next one is started after a wait."""

    level = "error"
    slot: int
    deaths: int
    wait: float
    role: Role = "web"

    def __str__(self) -> str:
        name = first(who(self.role, self.slot))
        return f"{name} died {self.deaths} times in short order; the next one starts in {took(self.wait)}"


class BootRefused(Event, frozen=True):
    """A replacement did not come up; it is tried again."""

    level = "error"
    slot: int
    failure: Failure
    role: Role = "web"

    def __str__(self) -> str:
        return str(self.failure.error())


class RequestHung(Event, frozen=True):
    """A request passed its time-out."""

    level = "error"
    slot: int
    pid: int
    request: str
    seconds: float
    stack: str

    def __str__(self) -> str:
        return (
            f"{self.request} ran for {took(self.seconds)} and was ended (--timeout); worker"
            f" {self.slot} (pid {self.pid}) finishes its other requests and is replaced"
        )


class WorkerStuck(Event, frozen=True):
    """A worker gave no sign of life; its stack is in the log and it is killed."""

    level = "error"
    slot: int
    pid: int
    silent: float
    role: Role = "web"

    def __str__(self) -> str:
        return (
            f"{first(who(self.role, self.slot))} (pid {self.pid}) gave no sign of life for {took(self.silent)}"
            " (its event loop or the GIL is held): killed, after its stacks went to the log"
        )


class WorkerOutgrown(Event, frozen=True):
    """A worker is to be recycled."""

    slot: int
    pid: int
    why: str
    role: Role = "web"

    def __str__(self) -> str:
        return f"{first(who(self.role, self.slot))} (pid {self.pid}) is recycled: {self.why}"


class WorkerMisbehaved(Event, frozen=True):
    """A worker said something that makes no sense, so nothing it says can be relied on: it is killed."""

    level = "error"
    slot: int
    pid: int
    what: str
    role: Role = "web"

    def __str__(self) -> str:
        return f"{first(who(self.role, self.slot))} (pid {self.pid}) was killed: {self.what}"


class WorkerOverran(Event, frozen=True):
    """A draining worker left requests unfinished, or tasks, which go back to the broker."""

    level = "warning"
    slot: int
    pid: int
    abandoned: int
    role: Role = "web"

    def __str__(self) -> str:
        if self.role != "web":
            tasks = f"{self.abandoned} unfinished {'task' if self.abandoned == 1 else 'tasks'}, which will run again"
            return (
                f"{first(who(self.role, self.slot))} (pid {self.pid}) ended"
                f"{f' with {tasks}' if self.abandoned else ' late'}: the grace period was over (--grace)"
            )
        requests = f"{self.abandoned} unfinished {'request' if self.abandoned == 1 else 'requests'}"
        left = requests if self.abandoned else "connections or threads of the app still open"
        return f"Worker {self.slot} (pid {self.pid}) ended with {left}: the grace period was over (--grace)"


class GenerationDied(Event, frozen=True):
    """The process that workers are forked from ended; its workers serve on."""

    level = "warning"
    generation: int
    pid: int
    status: int | None

    def __str__(self) -> str:
        return (
            f"Generation {self.generation} (pid {self.pid}) {ending(self.status)}; its workers serve on, and another"
            " is started"
        )


class GenerationRefused(Event, frozen=True):
    """Another generation for the one that died did not come up; it is tried again."""

    level = "error"
    failure: Failure
    wait: float

    def __str__(self) -> str:
        return f"{self.failure.error()} Trying again in {took(self.wait)}."


class Reloading(Event, frozen=True):
    """A new code version is being imported beside the old."""

    generation: int

    def __str__(self) -> str:
        return f"Reloading: generation {self.generation} is imported while {self.generation - 1} serves"


class Reloaded(Event, frozen=True):
    """The new code version serves in every slot."""

    generation: int
    workers: int
    seconds: float

    def __str__(self) -> str:
        return f"Reloaded: generation {self.generation} {serving(self.workers)} after {took(self.seconds)}"


class ReloadFailed(Event, frozen=True):
    """The new code version did not come up."""

    level = "error"
    failure: Failure

    def __str__(self) -> str:
        return str(self.failure.error())


class Scaled(Event, frozen=True):
    """A worker was added or removed by order."""

    workers: int

    def __str__(self) -> str:
        return f"Workers: {self.workers} (by order)"


class ScaleRefused(Event, frozen=True):
    """A worker could not be added or removed."""

    level = "error"
    failure: Failure

    def __str__(self) -> str:
        return str(self.failure.error())


class Asleep(Event, frozen=True):
    """The workers were stopped because nobody asked for anything; the sockets stay open."""

    idle: float

    def __str__(self) -> str:
        return f"No request for {took(self.idle)} (--idle-timeout): workers stopped, the next connection starts them"


class Woken(Event, frozen=True):
    """A connection came while asleep."""

    def __str__(self) -> str:
        return "A connection came: starting the workers again"


class Draining(Event, frozen=True):
    """The end has begun."""

    workers: int
    grace: float
    why: str
    tasks: bool = False

    def __str__(self) -> str:
        count = self.workers + self.tasks
        names = [f"{self.workers} {workers(self.workers)}"] * bool(self.workers) + ["the tasks process"] * self.tasks
        what = ["requests"] * bool(self.workers) + ["tasks"] * self.tasks
        return (
            f"Stopping ({self.why}): {' and '.join(names) or 'nobody'} may take {took(self.grace)} to finish"
            f" {'its' if count == 1 else 'their'} {' and '.join(what)}"
        ).rstrip()


class Stopped(Event, frozen=True):
    """Nothing of the instance is left."""

    seconds: float
    killed: int

    def __str__(self) -> str:
        killed = f"; {self.killed} {workers(self.killed)} had to be killed" if self.killed else ""
        return f"Stopped after {took(self.seconds)}{killed}"
