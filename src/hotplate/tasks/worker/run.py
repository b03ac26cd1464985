"""A Celery worker as one of Hotplate's processes: quiet, warm, private memory only, and never waiting for the broker."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from celery import Celery

from hotplate.tasks.worker.counting import Counts


class Plan(NamedTuple):
    """How to run the tasks of an app.

    Args:
        name: Celery's node name, such as `hotplate-shop-1@host`; unique among the workers of a broker.
        title: what ps(1) shows of the main process, such as `hotplate: tasks shop`.
        concurrency: processes that run tasks.
        max_memory: bytes of private memory after which a process is replaced between two tasks; 0 for no limit.
        attempts: how often a task may lose the process that runs it, and how often one that no worker knows is given
            back, before it is parked.
        nice: added to the niceness of the processes (setpriority(2)).
        queues: names of the queues to take tasks from; empty for those that the app's own settings name.
        talk_every: seconds between two counts.
    """

    name: str
    title: str
    concurrency: int
    max_memory: int = 0
    attempts: int = 5
    nice: int = 10
    queues: tuple[str, ...] = ()
    talk_every: float = 1.0


class Talk(Protocol):
    """What the process that serves has to say, and what it must do in each child; given by the supervisor."""

    def ready(self, processes: tuple[int, ...]) -> None:
        """Say that the pool is forked; called once, in the main thread. The broker may still be out of reach."""

    def counts(self, counts: Counts) -> None:
        """Say how it goes; called by a thread about once a second, and must not take a lock, log, import or print.

        A child may be forked at any moment: what this thread holds then stays held in the child for ever.
        """

    def in_child(self) -> None:
        """Called first in every process that runs tasks: close what belongs to the main process, renew pools."""


def serve(app: Celery, plan: Plan, talk: Talk) -> int:
    """Take tasks from the broker and run them until SIGTERM, which lets running tasks finish.

    For the main thread of a freshly forked process with the app loaded and warm.

    Args:
        app: the Celery app, its broker settings complete.
        plan: how.
        talk: whom to tell.

    Returns:
        The exit status: 0 after SIGTERM.
    """
    raise NotImplementedError
