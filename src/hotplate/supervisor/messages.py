"""What the processes say to each other: orders in the imperative, facts in the past participle.

Three lines of talk, each a socket pair: master and generation, master and worker, and the control socket's client and
master (``control.py``). Records are JSON (msgspec, tagged by name), never pickle: a process that was taken over must
not gain the master's rights by what it says.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hotplate.errors import ExitCode, HotplateError
from hotplate.gateway.traffic import Traffic
from hotplate.settings import Settings
from hotplate.supervisor.tally import Tally

Role = Literal["web", "tasks", "beat"]

_CODES = {int(code): code for code in ExitCode}


class Failure(msgspec.Struct, frozen=True):
    """A `HotplateError` on its way to another process; `detail` holds the trimmed traceback of the user's code."""

    attempted: str
    cause: str
    remedy: str
    code: int
    detail: str = ""

    @classmethod
    def of(cls, error: HotplateError) -> Failure:
        """Pack an error for the journey."""
        return cls(error.attempted, error.cause, error.remedy, int(error.code), error.detail)

    def error(self) -> HotplateError:
        """Unpack it where it is to be shown."""
        return HotplateError(self.attempted, self.cause, self.remedy, code=_CODES[self.code], detail=self.detail)


# Master to generation


class Configure(msgspec.Struct, frozen=True, tag=True):
    """The first message: serve by these settings. `preload` is this generation's own: "off" after a refusal."""

    settings: Settings
    preload: Literal["auto", "on", "off"]


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Fork a worker for `slot`; carries `listeners` listening sockets, then the worker's end of its channel.

    `role` is what it is to do, and `tasks` how many of them at once if that is to run some. `turn` is another one than
    that of who served the slot before where that may still live, and the same where it is dead: what brokers know the
    two by.
    """

    slot: int
    serial: int
    listeners: int
    role: Role = "web"
    tasks: int = 0
    turn: int = 0


class Retire(msgspec.Struct, frozen=True, tag=True):
    """Fork no more; leave when the last worker has gone."""


# Generation to master


class TasksFound(msgspec.Struct, frozen=True):
    """The app's Celery instance: `tasks` are how many, `broker` is its URL without what is secret in it.

    `concurrency` is how many tasks it wants to be run at once; 0 if it does not say. `queues` are those that its tasks
    are sent into, as far as it can tell; `routers` are functions that may name others. `cautions` are for its user.
    """

    name: str
    tasks: int
    schedule: bool
    broker: str
    origin: str = ""
    concurrency: int = 0
    queues: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


class Imported(msgspec.Struct, frozen=True, tag=True):
    """The app is in memory (or, without preload, the generation is ready to fork workers that import it).

    `release` is the version of the code that is in memory, as the cache's keys have it.
    """

    app: str
    kind: str
    framework: str
    seconds: float
    preloaded: bool
    why: str
    release: str = ""
    release_why: str = ""
    tasks: TasksFound | None = None


class ImportFailed(msgspec.Struct, frozen=True, tag=True):
    """This code version cannot be served."""

    failure: Failure


class PreloadRefused(msgspec.Struct, frozen=True, tag=True):
    """The imported app is not fork-safe; the generation leaves, and the master starts one with preload "off"."""

    reasons: tuple[str, ...]


class Forked(msgspec.Struct, frozen=True, tag=True):
    """A worker process exists."""

    slot: int
    serial: int
    pid: int


class Reaped(msgspec.Struct, frozen=True, tag=True):
    """A worker process has ended; `status` as of `os.waitstatus_to_exitcode` (negative: killed by that signal)."""

    pid: int
    status: int


# Master to worker


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Take no new connections, finish what is there, and leave within `grace` seconds."""

    grace: float


class Shed(msgspec.Struct, frozen=True, tag=True):
    """Ask the next `connections` clients to reconnect (Connection: close), so that another slot gets them."""

    connections: int


# Worker to master


class Warmed(msgspec.Struct, frozen=True):
    """One warm-up that passed: a path, or a function registered with `@hotplate.warmup`."""

    what: str
    seconds: float


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Warm and accepting; sizes in bytes. `release` is the version of its code, as the cache's keys have it."""

    seconds: float
    private: int
    warmed: tuple[Warmed, ...]
    release: str = ""
    tasks: TasksFound | None = None


class BootFailed(msgspec.Struct, frozen=True, tag=True):
    """The worker could not import, start or warm the app."""

    failure: Failure


class Beat(msgspec.Struct, frozen=True, tag=True):
    """Alive, and how it goes; sent every quarter of a second. `private` is in bytes, 0 when not sampled this time.

    A process that runs tasks says it every second, with what became of them.
    """

    traffic: Traffic
    private: int = 0
    tasks: Tally | None = None


class Hung(msgspec.Struct, frozen=True, tag=True):
    """A request passed its time-out; the worker asks to be replaced and finishes the others."""

    request: str
    seconds: float
    stack: str


class Outgrown(msgspec.Struct, frozen=True, tag=True):
    """The worker reached `--max-requests` or `--max-memory` and asks to be replaced."""

    why: str


class Parked(msgspec.Struct, frozen=True, tag=True):
    """A draining worker accepts no more: from now on every new connection gets another one."""


class Drained(msgspec.Struct, frozen=True, tag=True):
    """The worker leaves; `abandoned` requests had not ended when the grace period was over."""

    abandoned: int


ToGeneration = Configure | Fork | Retire
FromGeneration = Imported | ImportFailed | PreloadRefused | Forked | Reaped
ToWorker = Drain | Shed
FromWorker = Ready | BootFailed | Beat | Hung | Outgrown | Parked | Drained
