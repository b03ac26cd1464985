"""A Celery worker as one of Hotplate's processes: quiet, warm, and ready without its broker."""

from __future__ import annotations

import warnings
from types import new_class
from typing import Any, Final, NamedTuple

from celery import Celery, bootsteps
from celery.apps.worker import Worker as CeleryWorker
from celery.exceptions import SecurityWarning
from celery.utils.imports import symbol_by_name
from celery.worker.consumer import Consumer as CeleryConsumer
from setproctitle import setproctitle

from hotplate.tasks import redis
from hotplate.tasks.worker import attempts, children, counting, leaving, logs, storing
from hotplate.tasks.worker.consumer import Keeps, Waits
from hotplate.tasks.worker.counting import Counts, Rates, Running
from hotplate.tasks.worker.pool import TaskPool
from hotplate.tasks.worker.talking import Talk, Talker

__all__ = ["Counts", "Plan", "Rates", "Running", "Talk", "serve"]

_BEGINS_WITHIN: Final = 60.0  # seconds
_FATES: Final = ("on_unknown_task", "on_unknown_message", "on_invalid_task", "on_decode_error")
_PREFORK: Final = frozenset({None, "prefork", "processes"})


class Plan(NamedTuple):
    """How to run the tasks of an app.

    Args:
        name: Celery's node name, such as `hotplate-shop-1@host`; unique among the workers of a broker.
        title: what ps(1) shows of the main process, such as `hotplate: tasks shop`.
        concurrency: processes that run tasks.
        max_memory: bytes of private memory after which a process is replaced between two tasks; 0 for what the app's
            own settings say.
        attempts: how often a task may lose the process that runs it, and how often one that no worker knows is given
            back, before it is parked; 0 for what the app's own settings say, or 5.
        nice: added to the niceness of the processes (setpriority(2)).
        queues: names of the queues to take tasks from; empty for those that the app's own settings name.
        talk_every: seconds between two counts.
    """

    name: str
    title: str
    concurrency: int
    max_memory: int = 0
    attempts: int = 0
    nice: int = 10
    queues: tuple[str, ...] = ()
    talk_every: float = 1.0


def serve(app: Celery, plan: Plan, talk: Talk) -> int:
    """Take tasks from the broker and run them until SIGTERM, which lets running tasks finish.

    SIGQUIT, for whom that takes too long, ends them and gives them back to the broker. For the main thread of a freshly
    forked process with the app loaded and warm.

    Args:
        app: the Celery app, its broker settings complete.
        plan: how.
        talk: whom to tell.

    Returns:
        The exit status: 0 after SIGTERM.
    """
    app._after_fork()  # noqa: SLF001  what Celery does in its own children: the parent's connections stay its own
    app.steps["worker"].update((_Frozen, _Forked))
    conf = app.conf
    if conf.get(attempts.SETTING):  # an app of ours: a task that is done has not failed because a Redis is restarted
        storing.wait_in_children(app)
    if plan.attempts:
        conf[attempts.SETTING] = plan.attempts
    if redis.is_ours(conf.get("broker_transport")):
        redis.configure(conf, plan.name)
    # Celery kills a process that has not begun within 4 s: on a busy machine that would be every one.
    conf.worker_proc_alive_timeout = max(conf.worker_proc_alive_timeout or 0, _BEGINS_WITHIN)
    children.yield_to_others(plan.nice)
    children.prepare(plan.max_memory, talk.in_child)
    counting.listen()
    with warnings.catch_warnings():
        # Of Celery: that no worker should run as root. It refuses to where it would unpickle messages.
        warnings.simplefilter("ignore", SecurityWarning)
        worker = Worker(app=app, hotplate=(plan, talk), **_options(app, plan))
    worker.start()
    worker.talker.stop()
    return int(worker.exitcode or 0)


class Worker(CeleryWorker):
    """Celery's worker, without its logging, its banner, and its own ideas of signals."""

    abandoned = False
    stopping = False

    def on_before_init(self, *, hotplate: tuple[Plan, Talk], **options: Any) -> None:  # noqa: ANN401  the shape is Celery's
        """Be told to leave from now on."""
        self.plan, self.talk = hotplate
        self.talker = Talker(self.talk, self.plan.talk_every)
        leaving.listen(self)
        super().on_before_init(quiet=True, **options)

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:  # noqa: FBT001, FBT002  the shape is Celery's
        """Wait for the tasks that run, unless they have been given up already."""
        self.stopping = True
        if self.abandoned:
            leaving.give_back(self)
        super().stop(in_sighandler, exitcode)

    def setup_logging(self, colorize: bool | None = None) -> bool:  # noqa: ARG002, FBT001  the shape is Celery's
        """Leave logging to the app, as everywhere."""
        logs.settle(self.app)
        return True

    def set_process_status(self, info: str) -> None:  # noqa: ARG002  the shape is Celery's
        """Show the same title all the time."""
        setproctitle(self.plan.title)

    def install_platform_tweaks(self, worker: object) -> None:
        """Leave the signals as they are."""


class _Forked(bootsteps.StartStopStep):
    """Says that the pool is there; Celery looks for the broker afterwards."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Worker) -> None:
        """Tell the supervisor, and go on telling it."""
        pool = getattr(parent.pool, "_pool", None)
        counting.COUNTER.watch(pool)
        parent.talk.ready(counting.COUNTER.counts().processes)
        parent.talker.start()


class _Frozen(bootsteps.StartStopStep):
    """Freezes what is loaded, before the pool forks."""

    requires = ("celery.worker.components:Hub",)

    def start(self, parent: Worker) -> None:  # noqa: ARG002  the shape is Celery's
        """Freeze."""
        children.freeze()


def _options(app: Celery, plan: Plan) -> dict[str, Any]:
    conf = app.conf
    # Only who asked for events looks at the two.
    silent = not conf.worker_send_task_events
    return {
        "hostname": plan.name,
        "concurrency": plan.concurrency,
        "queues": list(plan.queues) or None,
        "max_memory_per_child": plan.max_memory // 1024 or None,
        "pool": TaskPool if conf.worker_pool in _PREFORK else None,
        "consumer_cls": _consumer(app),
        "without_gossip": silent,
        "without_mingle": True,  # `revoked` does it without waiting
        "without_heartbeat": silent,
    }


def _consumer(app: Celery) -> type[Waits]:
    """Return the app's own class of consumer, which also waits and keeps as ours do.

    What its user has written for messages that cannot be run stays.
    """
    theirs: type[Any] = symbol_by_name(app.conf.worker_consumer)
    if issubclass(theirs, Waits):
        return theirs
    written = {name: each for name in _FATES if (each := getattr(theirs, name)) is not getattr(CeleryConsumer, name)}
    return new_class(theirs.__name__, (Keeps, theirs), exec_body=lambda namespace: namespace.update(written))
