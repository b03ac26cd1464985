"""Celery's pool of forked processes, which also tells what became of its processes and jobs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

from billiard.pool import EX_FAILURE, EX_OK
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.asynpool import Worker as CeleryChild
from celery.concurrency.prefork import TaskPool as CeleryTaskPool

from hotplate.tasks.worker import counting

_ENDING: Final = 0.01  # seconds


class Child(CeleryChild):
    """What runs in each process: ends as soon as it is done, and loses nothing that a task has printed."""

    def _do_exit(self, pid: int, exitcode: int | None, exc: Exception | None = None) -> NoReturn:
        """Run the exit handler, write out what was printed, and end.

        Billiard would wait a second, so that the main process could send a signal to who has not ended by itself.
        What was answered lies in a pipe that the main process holds open, too.
        """
        status = exitcode if exitcode is not None else EX_FAILURE if exc else EX_OK
        try:
            if self.on_exit is not None:
                self.on_exit(pid, status)
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # closed, replaced, or a pipe that nobody reads any more
                    stream.flush()
        finally:
            os._exit(status)


class Telling(AsynPool):
    """Tells the counter."""

    Worker = Child
    on_timeout_set: Any

    def on_job_ready(self, job: Any, i: Any, obj: tuple[bool, Any], inqW_fd: int) -> None:  # noqa: ANN401, N803  the shape is billiard's
        """Count what became of a task."""
        super().on_job_ready(job, i, obj, inqW_fd)
        counting.COUNTER.ended(*obj)

    def did_start_ok(self) -> bool:
        """Say whether any process lives: one may have been killed while there was no broker, and is replaced."""
        self._join_exited_workers()
        alive = bool(self._pool)
        self.maintain_pool()
        return alive

    def on_job_process_lost(self, job: Any, pid: int, exitcode: int) -> None:  # noqa: ANN401  the shape is billiard's
        """Count a process that died while it ran a task."""
        counting.COUNTER.lost()
        super().on_job_process_lost(job, pid, exitcode)

    def _create_timelimit_handlers(self, hub: Any) -> None:  # noqa: ANN401  the shape is Celery's
        """Have a task's hard limit hold where the soft one, which may be everybody's, would come later.

        Celery looks at the hard limit when the soft one is over: `time_limit=10` with a default of an hour would be an
        hour.
        """
        super()._create_timelimit_handlers(hub)
        limit = self.on_timeout_set

        def on_timeout_set(job: Any, soft: float | None, hard: float | None) -> None:  # noqa: ANN401  the shape is billiard's
            limit(job, None if soft and hard and soft >= hard else soft, hard)

        self.on_timeout_set = on_timeout_set

    def _event_process_exit(self, hub: Any, proc: Any) -> None:  # noqa: ANN401  the shape is Celery's
        """Look again soon: the process has closed its end, and may not have ended yet.

        Celery would look again within 5 s, and only then replace it and give its task back.
        """
        super()._event_process_exit(hub, proc)
        if proc in self._pool:
            hub.call_later(_ENDING, self._event_process_exit, hub, proc)

    def _join_exited_workers(self, shutdown: bool = False) -> list[int]:  # noqa: FBT001, FBT002  the shape is billiard's
        codes: list[int] = super()._join_exited_workers(shutdown)
        counting.COUNTER.exited(codes)
        return codes


class TaskPool(CeleryTaskPool):
    """The pool of Hotplate's task workers."""

    Pool = Telling
