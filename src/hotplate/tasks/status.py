"""What may be known of a task outside: how far it is, never what it was given, and never why it failed.

A task's id is 122 random bits (RFC 9562, 5.4), so whoever knows it was told it. What it results in is shown only where
its app said so; exceptions stay in the log, as their text may hold anything.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from uuid import UUID, uuid5

import msgspec
from celery import current_app
from celery.backends.base import DisabledBackend
from celery.result import AsyncResult, EagerResult

from hotplate.errors import ExitCode, HotplateError
from hotplate.tasks import advance
from hotplate.tasks.untyped import App, Result, Value

State = Literal["waiting", "running", "retrying", "done", "failed", "cancelled"]

# Celery's states; any other is one that a task gave itself while it ran.
_STATES: dict[str, State] = {
    "PENDING": "waiting", "RECEIVED": "waiting", "STARTED": "running", "RETRY": "retrying", "SUCCESS": "done",
    "FAILURE": "failed", "REJECTED": "failed", "IGNORED": "done", "REVOKED": "cancelled",
}  # fmt: skip
FINAL: frozenset[State] = frozenset({"done", "failed", "cancelled"})
_SHOWN = UUID("6c6b2a52-2d0e-4a0b-9b7e-6f4f5b1c8a11")  # namespace of the marks that say a result may be shown
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class Shown(msgspec.Struct, frozen=True):
    """Progress as it is shown.

    Args:
        done: so far, in the task's own unit; None if it did not tell.
        total: of it; None if it is not known.
        message: for whoever waits.
        percent: 0 to 100; None if it is not known.
    """

    done: float | None = None
    total: float | None = None
    message: str = ""
    percent: float | None = None


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a status page is made of; these are the fields of its JSON.

    Args:
        id: of the task.
        state: "waiting" also where nothing is known: Celery cannot tell an unknown task from one that waits.
        final: whether it stays so.
        progress: None if the task told none.
        result: what it returned, where that may be shown.
    """

    id: str
    state: State
    final: bool
    progress: Shown | None
    result: Any = None


class StatusUnavailableError(Exception):
    """Where results are kept is away."""


def task_id(text: str) -> str | None:
    """Return the id that a URL holds, as Celery writes it; None if it is none.

    Example:
        >>> task_id("D9428888-122B-11E1-B85C-61CD3CBB3210"), task_id("../../etc/passwd")
        ('d9428888-122b-11e1-b85c-61cd3cbb3210', None)
    """
    return text.lower() if _UUID.fullmatch(text) else None


def current() -> App:
    """Return the Celery app that `shared_task` means."""
    return current_app._get_current_object()  # noqa: SLF001  # the documented way to the app itself


def read(app: App, identity: str) -> Status:
    """Return what is known of a task; it asks the place of results, which may take a while.

    Args:
        app: a Celery app.
        identity: of the task, as `task_id` returns it.

    Raises:
        StatusUnavailableError: it does not answer.
    """
    meta = _meta(app, identity)
    state = _STATES.get(str(meta.get("status")), "running")
    kept = meta.get("result")
    told = advance.read(kept) if state == "running" else None
    progress = Shown(told.done, told.total, told.message, told.percent) if told else None
    if state == "done":
        progress = Shown(percent=100.0)
    result = kept if state == "done" and _meta(app, _mark(identity)).get("status") == "SUCCESS" else None
    return Status(identity, state, state in FINAL, progress, result)


def encode(status: Status) -> bytes:
    """Return it as JSON; values that JSON has no form for become text.

    Example:
        >>> encode(Status("d9428888-122b-11e1-b85c-61cd3cbb3210", "waiting", False, None))
        b'{"id":"d9428888-122b-11e1-b85c-61cd3cbb3210","state":"waiting","final":false,"progress":null}'
    """
    return msgspec.json.encode(status, enc_hook=str)


def of_result(result: Result) -> tuple[App, Status]:
    """Return the Celery app behind a task that was just sent, and what is known of it without asking anybody.

    Args:
        result: what `delay()` returned.

    Raises:
        HotplateError: USAGE; its status could not be asked for later, and what to change.
    """
    if not isinstance(result, AsyncResult):
        raise _cannot(
            f"it is of type {type(result).__name__}, and not the result of one task",
            "Give what delay() or apply_async() of a task or a chain returns.",
        )
    app = result.app or current()
    identity = task_id(str(result.id))
    if identity is None:
        raise _cannot(
            f"its id {result.id!r} was chosen and could be guessed, so anybody could look",
            "Leave task_id to Celery, and keep your own name for the task elsewhere.",
        )
    if isinstance(result, EagerResult):
        state = _STATES.get(result.state, "running")
        return app, Status(identity, state, state in FINAL, Shown(percent=100.0) if state == "done" else None)
    if getattr(result, "ignored", False):
        raise _cannot("its task has ignore_result, so nothing of it is kept", "Take ignore_result from the task.")
    if isinstance(app.backend, DisabledBackend):
        raise _cannot(
            "its Celery app keeps no results",
            "Type: export CELERY_RESULT_BACKEND=redis://host:6379/0, or make the app with hotplate.tasks.celery(app).",
        )
    return app, Status(identity, "waiting", final=False, progress=None)


def show_result(app: App, identity: str) -> None:
    """Have the status of a task tell its result, too, for as long as that is kept.

    Args:
        app: a Celery app.
        identity: of the task.

    Raises:
        StatusUnavailableError: it could not be noted.
    """
    backend, mark = app.backend, _mark(identity)
    try:
        if hasattr(backend, "ensure") and hasattr(backend, "get_key_for_task"):  # a Redis, asked again for 20 s
            meta = {"status": "SUCCESS", "result": True, "task_id": mark}
            backend.set(backend.get_key_for_task(mark), backend.encode(meta), max_retries=0)
        else:
            backend.store_result(mark, True, "SUCCESS")  # noqa: FBT003  # Celery's signature
    except Exception as problem:
        raise StatusUnavailableError(type(problem).__name__) from problem


def _mark(identity: str) -> str:
    return str(uuid5(_SHOWN, identity))


def _meta(app: App, identity: str) -> dict[str, Value]:
    try:
        return dict(app.backend.get_task_meta(identity, cache=False))
    except Exception as problem:  # each backend raises its own
        raise StatusUnavailableError(type(problem).__name__) from problem


def _cannot(cause: str, remedy: str) -> HotplateError:
    return HotplateError("answer with the status of a task", cause, remedy, code=ExitCode.USAGE)
