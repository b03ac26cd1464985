"""Tasks that were revoked: a worker that starts is told by those that run.

Revocations live in the memory of workers. Celery's own way ("mingle") asks the others and waits a second for answers,
whether there are any or not, before the first task is taken: after each crash and each reload.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import Celery
from celery.worker import state as worker_state
from celery.worker.control import control_command

_log = logging.getLogger("hotplate.tasks")

OURS: Final = "hotplate-*"  # a worker that does not know a command writes a traceback
_COMMAND: Final = "hotplate_tell_revoked"
_MOST: Final = 5_000


def ask(app: Celery, name: str) -> None:
    """Ask the other workers, and do not wait.

    Args:
        app: Celery's.
        name: of the worker that asks.
    """
    app.control.broadcast(_COMMAND, arguments={"to": name}, pattern=OURS, matcher="glob")


@control_command()
def hotplate_tell_revoked(state: Any, to: str = "", **_: object) -> None:  # noqa: ANN401  the shape is Celery's
    """Tell a worker which tasks have been revoked."""
    revoked = list(worker_state.revoked)[-_MOST:]
    if to and to != state.hostname and revoked:
        state.app.control.revoke(revoked, destination=[to])
