"""The part of the settings table that is about tasks: long work beside the requests, by Celery."""

from typing import Annotated, Literal

from hotplate.settings.compression_rows import CompressionSettings
from hotplate.settings.kinds import Choice, Count, FilePath, Size
from hotplate.settings.rows import MIB, TIB, Row
from hotplate.settings.secret import BrokerUrl
from hotplate.settings.tasks_lists import queue_names


class TaskSettings(CompressionSettings, frozen=True, kw_only=True):
    """Who runs tasks, how many at once, and by which broker; see `Settings`. Without tasks in the app none counts."""

    task_workers: Annotated[
        int | Literal["auto"],
        Row(
            "Tasks",
            Count(0, 1024, {"auto": "auto", "off": 0}),
            "Tasks that run at once, each in a process; auto is one per effective core, as many as fit; 0 runs none",
            "Celery's --concurrency: one per core. Requests are not slowed by it, since tasks run at task_nice.",
            example="4",
        ),
    ] = "auto"
    task_memory: Annotated[
        int,
        Row(
            "Tasks",
            Size(16 * MIB, 1024 * TIB, zero="no limit"),
            "Private memory at which a process that runs tasks is replaced, after its task",
            "Not max_memory: a task may well need a gigabyte for a report where a request that does is a leak.",
            example="1GiB",
        ),
    ] = 0
    task_nice: Annotated[
        int,
        Row(
            "Tasks",
            Count(0, 19),
            "How far tasks give way to requests: 0 not at all, 19 as far as can be (nice(1))",
            "nice(1)'s own default: while both want a core, tasks get a tenth of it; on an idle one they lose nothing.",
        ),
    ] = 10
    task_attempts: Annotated[
        int,
        Row(
            "Tasks",
            Count(1, 1000),
            "How often a task that kills its process is begun before it is parked for a person to look at",
            "Sidekiq gives up after 3 such deaths, RabbitMQ's quorum queues after 20; deploys alone are no reason.",
        ),
    ] = 5
    task_queues: Annotated[
        tuple[str, ...],
        Row(
            "Tasks",
            queue_names(),
            "Queues to take tasks from, and no others; auto: the default one and those that the app's tasks, its"
            " task_routes and task_queues name; may be repeated",
            "Celery's -Q; without it, Celery takes from the default queue and task_queues alone.",
            example="mail",
        ),
    ] = ()
    beat: Annotated[
        Literal["auto", "on", "off"],
        Row(
            "Tasks",
            Choice(("auto", "on", "off")),
            "Send scheduled tasks; auto where tasks run and the app has a schedule; of several machines, one does",
            "A lock beside the broker has it done exactly once, so that no machine has to be a special one.",
        ),
    ] = "auto"
    tasks_dir: Annotated[
        str,
        Row(
            "Tasks",
            FilePath(metavar="DIR", right="the path of a folder"),
            "Folder of the broker that needs no server; made if it is not there",
            "The first of STATE_DIRECTORY (systemd), XDG_STATE_HOME/hotplate, ~/.local/state/hotplate, by app folder.",
            example="/var/lib/shop/tasks",
        ),
    ] = ""
    broker_url: Annotated[
        str,
        Row(
            "Tasks",
            BrokerUrl(),
            "Broker of the tasks, whatever the app names: redis://..., amqp://...; its password is never shown",
            "Else what the app names, else REDIS_URL, which hosting platforms set, else a file, which needs no server.",
            env=("CELERY_BROKER_URL",),
            example="amqp://queue.internal",
        ),
    ] = ""
    only: Annotated[
        Literal["all", "tasks"],
        Row(
            "Tasks",
            Choice(("all", "tasks")),
            "What to run: all, or tasks without web workers and listeners, as `hotplate tasks run` does",
            "One machine does both. As a variable, so that one image can be started as either.",
            offered=False,
        ),
    ] = "all"
