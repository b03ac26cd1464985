"""How long a result waits for its store: once for each task, and never in the main process."""

from __future__ import annotations

from typing import Any, Final

from celery import Celery, signals

_TRIES: Final = 11  # the later the longer apart: 10 seconds on average, at most 20, which is less than the grace


def wait_in_children(app: Celery) -> None:
    """Have the processes that run tasks try again while the store of results is away, as when a Redis is restarted.

    Celery would wait as long a second time, to store that the first one failed, and a third time in the main process,
    which takes no task and hears no signal meanwhile.

    Args:
        app: the Celery app; for the main process, before it forks.
    """

    def begin(**_: object) -> None:
        app.conf.result_backend_always_retry = app.backend.always_retry = True
        app.conf.result_backend_max_retries = app.backend.max_retries = _TRIES

    def hope(sender: Any, **_: object) -> None:  # noqa: ANN401  a task of Celery's
        sender.backend.max_retries = _TRIES

    def give_up(sender: Any, **_: object) -> None:  # noqa: ANN401  a task of Celery's
        sender.backend.max_retries = 0

    for signal, act in (
        (signals.worker_process_init, begin),
        (signals.task_prerun, hope),
        (signals.task_internal_error, give_up),
    ):
        signal.connect(act, weak=False, dispatch_uid="hotplate.storing")
