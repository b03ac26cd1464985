"""Who logs what of tasks: the app's own handlers, and Celery's lines about failed tasks in any case."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from billiard.util import get_logger
from celery import Celery, signals
from celery.exceptions import WorkerLostError


def settle(app: Celery) -> None:
    """Leave logging as the app has set it up, where Celery would replace the root logger's handlers.

    What the app connected to Celery's signals about logging is still called. If nobody cares for Celery's lines, they
    go where Hotplate's go, or to stderr: it gives its loggers a handler that drops everything, so that a task which
    failed would otherwise not be heard of.

    Args:
        app: Celery's.
    """
    log = app.log
    # What each process of the pool would call.
    log.setup = _nothing
    logging.getLogger("celery.worker.request").addFilter(_wanted)
    told = {"sender": None, "logfile": None, "format": log.format, "colorize": False}
    if signals.setup_logging.send(loglevel=logging.INFO, **told):
        return
    root, celery = logging.getLogger(), logging.getLogger("celery")
    signals.after_setup_logger.send(logger=root, loglevel=root.level, **told)
    if not _heard(root) and not _heard(celery):
        _add(celery, logging.getLogger("hotplate").handlers or [_stderr(log.format)])
    # It says that a process died, and hands nothing on to other loggers.
    processes = get_logger()
    if not _heard(processes):
        _add(processes, root.handlers if _heard(root) else celery.handlers)


def _heard(logger: logging.Logger) -> bool:
    return any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers)


def _add(logger: logging.Logger, handlers: Iterable[logging.Handler]) -> None:
    for handler in handlers:
        logger.addHandler(handler)


def _wanted(record: logging.LogRecord) -> bool:
    """Keep out the traceback of Celery's own code for each process that died: a line says so already."""
    return not (isinstance(record.args, tuple) and any(isinstance(each, WorkerLostError) for each in record.args))


def _stderr(form: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    return handler


def _nothing(*_arguments: object, **_options: object) -> None:
    """Do nothing."""
