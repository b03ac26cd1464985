"""What Celery is told where the app says nothing: a row per setting, with the reason it differs from Celery's own.

Rows are the lowest layer: keywords given to `hotplate.tasks.celery`, `app.config["CELERY"]`, `celery.conf` and
`config_from_object` all win over them. Names and units are Celery's
(https://docs.celeryq.dev/en/stable/userguide/configuration.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hotplate.tasks.brokers import Kind
from hotplate.tasks.untyped import Value

Limit = float | None
SOFT_LIMIT, HARD_LIMIT = 3600, 3660  # seconds
KEPT = 86400  # seconds
CONNECT_TIMEOUT = 2  # seconds
RESULT_LIMIT = 16 * 2**20  # bytes


class Default(NamedTuple):
    """A setting of Celery's.

    Args:
        name: of the setting.
        value: that it gets.
        reason: why.
        only: kinds of brokers that it is for; empty for all.
    """

    name: str
    value: Value
    reason: str
    only: frozenset[Kind] = frozenset()


DEFAULTS: tuple[Default, ...] = (
    # Nothing is lost: Celery acknowledges a message before its task runs, so a kill -9 loses it.
    Default("task_acks_late", value=True, reason="A task is done when it has run, not when it was taken."),
    Default(
        "task_reject_on_worker_lost",
        value=True,
        reason="A task whose process died goes back, instead of counting as failed.",
    ),
    Default("worker_prefetch_multiplier", 1, "A worker takes what it runs: a long task blocks none behind it."),
    Default(
        "worker_cancel_long_running_tasks_on_connection_loss",
        value=False,
        reason="What runs may finish; it is acknowledged.",
    ),
    Default("worker_consumer", "hotplate.tasks.worker.consumer:Consumer", "It keeps unknown tasks, and waits."),
    Default("hotplate_attempts", 5, "A task that kills its process every time is parked, instead of killing for ever."),
    Default(
        "worker_deduplicate_successful_tasks",
        value=True,
        reason="A task that comes back though its result is there, its acknowledgement lost, does not run twice.",
    ),
    # Nothing but data travels: who can write to the broker cannot run code here, as pickle would let them.
    Default("task_serializer", "json", "Arguments are data."),
    Default("result_serializer", "json", "Results are data."),
    Default("accept_content", ["json"], "Anything else is refused unread."),
    Default("result_accept_content", ["json"], "The same, for results."),
    # Nothing runs for ever, and nothing is kept for ever.
    Default("task_soft_time_limit", SOFT_LIMIT, "SoftTimeLimitExceeded after an hour: a task can still tidy up."),
    Default("task_time_limit", HARD_LIMIT, "A minute later its process is killed: a hung task frees its place."),
    Default("result_expires", KEPT, "Results are read within a day, or never."),
    Default("hotplate_result_limit", RESULT_LIMIT, "A result is an answer, not a file: larger ones fail clearly."),
    # What status pages and `hotplate tasks status` read.
    Default("task_track_started", value=True, reason="Running is told from waiting."),
    Default(
        "result_extended", value=True, reason="A result says which task made it, so that a failed one can be found."
    ),
    Default(
        "worker_send_task_events",
        value=False,
        reason="A message per step of each task, which nobody reads unless asked to.",
    ),
    # The broker is away now and then: workers wait for it, those who send say so soon.
    Default(
        "broker_connection_retry_on_startup", value=True, reason="Workers wait for a broker that is not there yet."
    ),
    Default(
        "broker_connection_max_retries", None, "However long it takes: a broker that comes back finds its workers."
    ),
    Default("broker_connection_timeout", CONNECT_TIMEOUT, "Seconds. Brokers are near; who sends waits half as long."),
    Default(
        "task_publish_retry_policy",
        {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
        "A dropped connection is mended at once; a broker that is away is reported within about a second.",
    ),
    Default("broker_pool_acquire_timeout", 5, "Seconds; threads that all look for a broker do not queue up for ever."),
    Default(
        "broker_transport_options",
        {"socket_connect_timeout": 5, "socket_timeout": 30, "socket_keepalive": True},
        "Seconds. A Redis that stops answering is noticed; Kombu would wait as long as the kernel does.",
        frozenset({"redis"}),
    ),
    Default("broker_transport_options", {"confirm_publish": True}, "Sent means RabbitMQ has it.", frozenset({"amqp"})),
    Default("redis_socket_connect_timeout", 2, "Seconds, for results in a Redis that is away; Celery's has no limit."),
    Default("redis_socket_timeout", 10, "Seconds; Celery's 120 would hold a web worker's thread as long."),
    # The app stays itself.
    Default("worker_hijack_root_logger", value=False, reason="The app's logging is the app's."),
    Default("worker_redirect_stdouts", value=False, reason="print() goes where it goes elsewhere."),
    Default("timezone", "UTC", "A schedule means the same on every machine; set it for local times."),
    Default("enable_utc", value=True, reason="The same, for what travels."),
)


# Settings that Celery does not know.
OURS = ("hotplate_attempts", "hotplate_result_limit", "hotplate_unknown_pause")


def settings(kind: Kind) -> Mapping[str, Value]:
    """Return what Celery is told with a kind of broker.

    Args:
        kind: of the broker.

    Example:
        >>> settings("embedded")["task_acks_late"]
        True
    """
    return {row.name: _copied(row.value) for row in DEFAULTS if not row.only or kind in row.only}


def limits(soft: tuple[Limit, Limit], hard: tuple[Limit, Limit]) -> tuple[Limit, Limit]:
    """Return the soft and the hard time limit, in seconds: Celery refuses a soft one that is above the hard one.

    Args:
        soft: what was set, and what is true otherwise.
        hard: the same.

    Example:
        >>> limits((None, 3600), (60, 3660)), limits((7200, 3600), (None, 3660))
        ((None, 60), (7200, 7260))
    """
    one, other = soft[0] or soft[1], hard[0] or hard[1]
    if one and other and one > other:
        if not soft[0]:
            one = None
        elif not hard[0]:
            other = one + HARD_LIMIT - SOFT_LIMIT
    return one, other


def _copied(value: Value) -> Value:
    """Return a copy of what an app may change in place."""
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, list) else value
