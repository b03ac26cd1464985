"""Sending a task while the broker is away: a request is told within about a second, a running task waits for it.

Kombu would look for the broker until its connection timeout and then try each publication again; Celery's defaults add
up to tens of seconds in which a web worker's thread hangs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from kombu.exceptions import OperationalError

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings.secret import hidden
from hotplate.tasks.brokers import Kind
from hotplate.tasks.untyped import App, Job, Result, Value

_log = logging.getLogger("hotplate.tasks")

# How long those who send look for a broker (kombu.Connection's options): twice, 0.1 s apart; seconds.
_CONNECTING = {
    "max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1, "connect_retries_timeout": 1,
}  # fmt: skip
# A running task that sends another is part of work that has been accepted: it waits while a broker restarts.
IN_TASKS = 60.0
_PAUSES = (0.1, 0.2, 0.5, 1.0)  # seconds between its attempts; the last one is repeated
_TOGETHER = ("chain", "chord", "group_id")  # what belongs to more than one task


SENT = "hotplate-sent"  # header: seconds since 1970
_REDIS = {"socket_connect_timeout": 0.5, "socket_timeout": 1}
CONNECT_TIMEOUT = 1.0  # seconds, a handshake included


class BrokerUnreachable(HotplateError, OperationalError):  # noqa: N818  # the name says it in an `except`, as Celery's do
    """A task could not be sent: nothing carries it, and nothing of it has been done.

    Args:
        attempted: see `HotplateError`.
        cause: see `HotplateError`.
        remedy: see `HotplateError`.
    """

    def __init__(
        self, attempted: str, cause: str, remedy: str, *, code: ExitCode = ExitCode.FAILED, detail: str = ""
    ) -> None:
        super().__init__(attempted, cause, remedy, code=code, detail=detail)


def is_worker(app: App) -> bool:
    """Whether this process runs tasks that were taken from a broker."""
    return bool(app.use_fast_trace_task)


def settle(app: App, backend: Value) -> None:
    """Make Celery's store of results in a Redis as impatient as sending is, where no worker needs its patience.

    Args:
        app: our Celery app.
        backend: its store of results.
    """
    if type(backend).__module__ != "celery.backends.redis":
        return
    ensure, subscribe, consumer = backend.ensure, backend.on_task_call, backend.result_consumer

    def soon(function: Callable[..., Value], args: tuple[Value, ...], **policy: Value) -> Value:
        if is_worker(app):
            return ensure(function, args, **policy)
        try:
            return ensure(function, args, **{**policy, "max_retries": 1, "interval_start": 0.1, "interval_max": 0.1})
        except backend.connection_errors as problem:
            url = str(backend.url or "")
            raise BrokerUnreachable(
                "reach the results of tasks",
                f"{hidden(url)} says: {_clean(str(problem), url)}",
                "Start it, or name another: export CELERY_RESULT_BACKEND=redis://host:6379/0",
            ) from problem

    def on_task_call(producer: Value, task_id: str) -> None:
        # Else it subscribes to the result of every task that is sent, and stays subscribed where nobody asks for it, as
        # in a web worker; who waits subscribes before it looks.
        if is_worker(app):
            subscribe(producer, task_id)

    backend.ensure, backend.on_task_call, consumer._ensure = soon, on_task_call, soon  # noqa: SLF001  # its copy


class Order(NamedTuple):
    """A task that is to be sent.

    Args:
        name: of the task.
        task: itself; None if it is not known here.
        args: by position.
        kwargs: by name.
        options: of `celery.Celery.send_task`.
    """

    name: str
    task: Job
    args: Value
    kwargs: Value
    options: dict[str, Value]


def patience(kind: Kind) -> dict[str, float]:
    """Return the options of a connection to send by.

    Args:
        kind: of the broker; whether one that is not known takes options cannot be told.
    """
    return {} if kind == "other" else {**_CONNECTING, **(_REDIS if kind == "redis" else {})}


def dated(headers: dict[str, Value] | None, clock: Callable[[], float] = time.time) -> dict[str, Value]:
    """Return a message's headers with the time, for a broker that keeps none: how long has the oldest one waited?

    Args:
        headers: of the message, if any.
        clock: seconds since 1970.
    """
    return {**(headers or {}), SENT: clock()}


def send(app: App, order: Order, publish: Callable[[], Result]) -> Result:
    """Send a task, or say that it cannot be sent.

    Args:
        app: our Celery app.
        order: what is sent.
        publish: sends it.

    Raises:
        BrokerUnreachable: the broker is away; `order` has not been done.
    """
    until = time.monotonic() + IN_TASKS if is_worker(app) and app.current_worker_task is not None else 0.0
    attempt = 0
    while True:
        try:
            return publish()
        except OperationalError as problem:
            if time.monotonic() < until:
                time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
                attempt += 1
                continue
            if app.without_broker == "run":
                return _run(app, order, problem)
            raise unreachable(app, order.name, problem) from problem


def unreachable(app: App, name: str, problem: BaseException) -> BrokerUnreachable:
    """Return what to raise for a task that could not be sent.

    Args:
        app: our Celery app.
        name: of the task.
        problem: what came of it.
    """
    if isinstance(problem, HotplateError):  # it has the words already
        cause = f"cannot {problem.attempted}: {problem.cause}"
        return BrokerUnreachable(f"send {name}", cause, problem.remedy, code=problem.code, detail=problem.detail)
    broker = app.broker()
    said = _clean(str(problem), broker.url) or type(problem).__name__
    return BrokerUnreachable(
        f"send {name}", f"the broker {broker.shown} ({broker.origin}) says: {said}", _REMEDY[broker.kind]
    )


_REMEDY = {
    "embedded": "See whether its folder can be written to and has room; HOTPLATE_TASKS_DIR names another.",
    "redis": "Start it, or name another: export CELERY_BROKER_URL=redis://host:6379/0",
    "amqp": "Start it, or name another: export CELERY_BROKER_URL=amqp://user@host//",
    "other": "Start it, or name another: export CELERY_BROKER_URL=...",
}


def _clean(text: str, url: str) -> str:
    """Return an error's text without the password of the broker, should a driver have written it."""
    from urllib.parse import unquote, urlsplit

    try:
        password = urlsplit(url).password
    except ValueError:
        return ""
    for secret in {password, unquote(password or "")} - {None, ""}:
        text = text.replace(str(secret), "...")
    return text


def _run(app: App, order: Order, problem: OperationalError) -> Result:
    """Run a task here and now, as its app asked for."""
    cannot = ""
    if order.task is None:
        cannot = "it is not known in this process, so it cannot be run here either"
    elif order.options.get("eta") or order.options.get("countdown"):
        cannot = "it is to run later, and nothing here could keep it"
    elif any(order.options.get(name) for name in _TOGETHER):
        cannot = "it is part of a chain, group or chord, which need a broker"
    if cannot:
        failure = unreachable(app, order.name, problem)
        raise BrokerUnreachable(failure.attempted, f"{failure.cause}; {cannot}", failure.remedy) from problem
    _log.warning("The broker %s is away: %s runs in the process that called it", app.broker().shown, order.name)
    chosen = ("task_id", "link", "link_error", "retries", "headers", "ignore_result")
    return order.task.apply(order.args, order.kwargs, **{n: order.options[n] for n in chosen if n in order.options})
