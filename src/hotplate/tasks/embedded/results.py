"""Celery's results in the embedded file: `result_backend = "hotplate:////srv/site/tasks.sqlite"`.

What Celery's own backends promise holds: states, groups, chords, forgetting, expiry, `get()` with a timeout. Beyond it,
who waits is woken instead of asking again; a result that is too large fails its task with words that help; and a result
that cannot be stored, because the disk is full, is not lost silently: the task is given back.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from celery import states
from celery._state import get_current_task
from celery.app.base import Celery
from celery.backends.base import BaseBackend
from celery.exceptions import ImproperlyConfigured, Reject
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult, result_from_tuple
from celery.utils.log import get_logger
from kombu.asynchronous import get_event_loop
from kombu.exceptions import OperationalError

from hotplate.tasks.embedded import file
from hotplate.tasks.embedded.chords import Chords, Request, Signature, Value
from hotplate.tasks.embedded.fitting import as_bytes, fitted
from hotplate.tasks.embedded.location import location
from hotplate.tasks.embedded.resulttable import ResultTable
from hotplate.tasks.embedded.watching import Watching

T = TypeVar("T")
Meta = dict[str, Any]

LIMIT_KEY = "hotplate_result_limit"
LIMIT = 16 * 2**20
# Seconds between looks of somebody who waits and is not woken; what wakes them are datagrams.
_CALM = 1.0
# A result that could not be stored is tried again for so long before its task is given back: the work is done already,
# and somebody may be making room.
_PATIENCE = 300.0
_PAUSE = 2.0
# Seconds between looks for expired results, and between batches while there are many.
_SWEEP, _SWEEP_ON = 60.0, 0.05
# From how many results on somebody who waits for them collects news for a while, and how long for each.
_MANY, _PER_TASK = 50, 20e-6

_log = get_logger(__name__)


class Backend(BaseBackend):
    """Keeps results in the file that is the embedded broker, too.

    Args:
        app: whose results; its `result_expires`, `result_extended`, `result_compression` and so on hold, and
            `hotplate_result_limit`, the bytes that one result may take, 16 MiB unless said otherwise.
        url: `hotplate:////absolute/path.sqlite`.

    Raises:
        ImproperlyConfigured: results are to be serialized by something else than JSON.
    """

    supports_native_join = True
    # Results go when their time has come, whether or not somebody runs a beat.
    supports_autoexpire = True
    supports_result_compression = True
    supports_failure_expires = True
    persistent = True

    def __init__(self, app: Celery, url: str, **options: Value) -> None:
        super().__init__(app=app, url=url, expires_type=float, **options)
        if self.serializer != "json":
            message = f"Results in the embedded file are JSON, not {self.serializer}: leave result_serializer alone."
            raise ImproperlyConfigured(message)
        place = location(url)
        self._store = file.open(place.path, durable=place.durable)
        self.thread_safe = True
        self.limit = int(app.conf.get(LIMIT_KEY) or LIMIT)
        self._table = ResultTable(self._store)
        self._watching = Watching(self._store.path)
        self._chords = Chords(self, self._table, self._store.path)
        # Not all at once, where many processes began together.
        self._sweeps_at = time.monotonic() + random.uniform(0.1, 1) * _SWEEP  # noqa: S311 - guards nothing
        failures = app.conf.get("result_failure_expires")
        self._failure_expires = self.expires if failures is None else self.prepare_expires(failures, type=float)

    # ---- one task

    def store_result(
        self,
        task_id: str,
        result: Value,
        state: str,
        traceback: str | None = None,
        request: Request = None,
        **_: Value,
    ) -> Value:
        """Keep a task's state; see Celery.

        Raises:
            ResultTooLargeError: Celery makes it the task's failure.
            Reject: it could not be stored for minutes; Celery gives the task back to its queue.
        """
        result = self.encode_result(result, state)
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        meta["task_id"] = str(task_id)
        value = fitted(meta, state, self.encode, self.limit)
        lifetime = self._failure_expires if state == states.FAILURE else self.expires
        save = partial(self._table.save, meta["task_id"], state, value, lifetime)
        if state in self.READY_STATES:
            attempt = f"store the result of task {task_id}"
            self._sooner_or_later(lambda: self.insist(save, attempt), attempt)
        else:
            self._try(save, f"store that task {task_id} is {state}")
        self._watching.tell(meta["task_id"])
        self._sweep()
        return result

    def insist(self, write: Callable[[], T], attempt: str) -> T:
        """Do what must not be lost: within a task again and again for minutes, elsewhere once.

        Raises:
            Reject: a task waited in vain; its message goes back to the queue and is not acknowledged.
        """
        gives_up = time.monotonic() + _PATIENCE
        while True:
            try:
                return write()
            except OperationalError as problem:
                if get_current_task() is None:
                    raise
                if time.monotonic() > gives_up:
                    _log.error("Could not %s for %d s: %s. The task is given back.", attempt, _PATIENCE, problem)
                    # As words: it is pickled on its way to the worker's main process.
                    raise Reject(str(problem), requeue=True) from problem
                _log.warning("Cannot %s: %s. It is tried again every %d s.", attempt, problem, _PAUSE)
            self._sleep(_PAUSE)

    def _sooner_or_later(self, write: Callable[[], object], attempt: str) -> None:
        """Do it now; a worker's main process, which must not die of it, may do it when there is room again."""
        try:
            write()
        except OperationalError as problem:
            hub: Any = get_event_loop()
            if hub is None or get_current_task() is not None:
                raise
            _log.error("Cannot %s: %s. It is tried again every %d s while this worker lives.", attempt, problem, _PAUSE)
            hub.call_later(_PAUSE, self._sooner_or_later, write, attempt)

    def _try(self, write: Callable[[], None], attempt: str) -> None:
        # That it has begun, or how far it is, is worth a line in the log and not the task's life.
        try:
            write()
        except OperationalError as problem:
            _log.warning("Cannot %s: %s. The task goes on.", attempt, problem)

    def _get_task_meta_for(self, task_id: str) -> Meta:
        value = self._table.load(str(task_id))
        if value is None:
            return {"status": states.PENDING, "result": None}
        return self._decoded(value)

    def task_result_exists(self, task_id: str) -> bool:
        """Say whether anything is known of a task."""
        return self._table.load(str(task_id)) is not None

    def _forget(self, task_id: str) -> None:
        self._table.forget(str(task_id))

    # ---- waiting

    @property
    def watching(self) -> Watching:
        """Who waits for which results: `with backend.watching.watch([task]) as watch: watch.wait(1.0)`."""
        return self._watching

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        on_interval: Callable[[], object] | None = None,
    ) -> Meta:
        """Wait until a task is ready, woken by whoever stores its result.

        Raises:
            TimeoutError: Celery's; it was not ready within `timeout` seconds.
        """
        self._ensure_not_eager()
        meta: Meta = self.get_task_meta(task_id)
        if meta["status"] in self.READY_STATES:
            return meta
        for _ in self._looks([task_id], timeout, interval, on_interval):
            meta = self.get_task_meta(task_id)
            if meta["status"] in self.READY_STATES:
                break
        return meta

    def get_many(  # noqa: PLR0913, PLR0917 - Celery's signature
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        on_message: Callable[[Meta], object] | None = None,
        on_interval: Callable[[], object] | None = None,
        max_iterations: int | None = None,
    ) -> Iterator[tuple[str, Meta]]:
        """Yield id and meta of each task as it gets ready.

        Raises:
            TimeoutError: Celery's; not all were ready within `timeout` seconds.
        """
        missing = dict.fromkeys(str(task) for task in task_ids)
        for task, meta in self._ready(missing, cached=True):
            del missing[task]
            yield task, meta
        looks = self._looks(missing, timeout, interval, on_interval) if missing else ()
        for number, _ in enumerate(looks, 1):
            for task, meta in self._ready(missing):
                del missing[task]
                if on_message is not None:
                    on_message(meta)
                yield task, meta
            if not missing or number == max_iterations:
                return

    def _ready(self, tasks: Mapping[str, None], *, cached: bool = False) -> list[tuple[str, Meta]]:
        if cached:
            known = ((task, self._cache.get(task)) for task in tasks)
            return [(task, meta) for task, meta in known if meta and meta["status"] in self.READY_STATES]
        loaded = self._table.load_in(list(tasks), sorted(self.READY_STATES))
        found = [(task, self._decoded(value)) for task, value in loaded]
        self._cache.update(found)
        return found

    def _looks(
        self,
        tasks: Mapping[str, None] | Sequence[str],
        timeout: float | None,
        interval: float | None,
        on_interval: Callable[[], object] | None,
    ) -> Iterator[None]:
        """Yield whenever it is time to look; ends by the caller's leaving, or with Celery's TimeoutError."""
        ends = None if timeout is None else time.monotonic() + timeout
        calm = min(interval or _CALM, _CALM) if on_interval is not None else _CALM
        with self._watching.watch(list(tasks)) as watch:
            while True:
                yield
                if on_interval is not None:
                    on_interval()
                left = calm if ends is None else ends - time.monotonic()
                if left <= 0:
                    message = f"The operation timed out after {timeout} s."
                    raise CeleryTimeoutError(message)
                watch.wait(min(left, calm))
                if len(tasks) > _MANY:
                    # Each look asks for all that are missing: not at every single one of thousands of results.
                    self._sleep(min(len(tasks) * _PER_TASK, 0.1))

    # ---- groups and chords

    def _save_group(self, group_id: str, result: GroupResult) -> GroupResult:
        self.keep_group(group_id, result, self.expires)
        return result

    def keep_group(self, group_id: str, result: GroupResult, lifetime: float | None) -> None:
        """Keep a group's structure for so many seconds."""
        self._table.save_group(group_id, as_bytes(self.encode({"result": result.as_tuple()})), lifetime)

    def _restore_group(self, group_id: str) -> Meta | None:
        value = self._table.load_group(group_id)
        if value is None:
            return None
        return {"result": result_from_tuple(self.decode(value)["result"], self.app)}

    def _delete_group(self, group_id: str) -> None:
        self._table.forget_group(group_id)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Take note of how many tasks a chord's header has; Celery calls it before the last of them is sent."""
        self._chords.begin(group_id, chord_size)

    def add_to_chord(self, chord_id: str, result: Value) -> None:  # noqa: ARG002 - Celery's signature
        """Let a chord wait for one task more."""
        self._chords.enlarge(chord_id)

    def apply_chord(self, header_result_args: Sequence[Value], body: Signature, **_: Value) -> None:  # noqa: ARG002 - Celery's
        """Keep a header's structure, where it has any; Celery calls it before the header is sent."""
        self._chords.prepare(header_result_args)

    def on_chord_part_return(self, request: Request, state: str, result: Value, **_: Value) -> None:
        """Count a header's task, and send the body with the last one."""
        attempt = f"count task {request.id} of its chord"
        self._sooner_or_later(lambda: self._chords.part_returned(request, state, result), attempt)

    # ---- housekeeping

    def cleanup(self) -> None:
        """Delete everything that has expired, in small batches between which others write."""
        while self._table.expire():
            self._sleep(_SWEEP_ON)

    def _sweep(self) -> None:
        now = time.monotonic()
        if now < self._sweeps_at:
            return
        self._sweeps_at = now + _SWEEP
        try:
            if self._table.expire():
                self._sweeps_at = now + _SWEEP_ON
        except OperationalError as problem:
            _log.warning("Cannot delete expired results: %s. It is tried again in %d s.", problem, _SWEEP)

    def _decoded(self, value: bytes) -> Meta:
        meta: Meta = self.decode_result(value)
        return meta

    def as_uri(self, include_password: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return the URL; there is no password in it."""
        return str(self.url)

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: Meta | None = None) -> Value:
        return super().__reduce__(args, {**(kwargs or {}), "url": self.url, "expires": self.expires})
