"""Chords: the body is sent once, with all results of the header, whoever dies in between.

A part is kept once per task, however often that runs; the body is sent under a lock that the kernel drops with its
holder, and that it was sent is noted. Who dies before that has not acknowledged its task, which runs again and finds
the chord complete. A death between sending and noting sends the body twice, with the same task id.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from celery import states
from celery.canvas import maybe_signature
from celery.exceptions import ChordError, Reject
from celery.result import GroupResult, allow_join_result
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from hotplate.tasks.embedded.fitting import as_bytes, too_large
from hotplate.tasks.embedded.resulttable import Part, ResultTable

if TYPE_CHECKING:
    from hotplate.tasks.embedded.results import Backend

# Celery ships no types: a task's context, a task to be sent, what a task takes or returns.
Request: TypeAlias = Any
Signature: TypeAlias = Any
Value: TypeAlias = Any

_log = get_logger(__name__)


class Chords:
    """The chords of one backend.

    Args:
        backend: whose parts these are; encodes and joins.
        table: where they are kept.
        file: the embedded file, beside which the locks are.
    """

    def __init__(self, backend: Backend, table: ResultTable, file: Path) -> None:
        self._backend = backend
        self._table = table
        self._locks = file.with_name(file.name + "-chords")

    def prepare(self, header_result_args: Sequence[Any]) -> None:
        """Keep the header's structure if it has groups within; a flat one is put together from its parts."""
        app = self._backend.app
        # A header that is a generator is sent as it comes, and cannot be asked what it consists of.
        if not isinstance(header_result_args[1], list | tuple):
            return
        header = app.GroupResult(*header_result_args)
        if any(isinstance(result, GroupResult) for result in header.results):
            self._backend.keep_group(header.id, header, self._lifetime)

    def begin(self, chord: str, size: int) -> None:
        """Take note of how many parts it has."""
        self._table.begin_chord(chord, size, self._lifetime)

    def enlarge(self, chord: str) -> None:
        """Let it wait for one part more."""
        self._table.enlarge_chord(chord, self._lifetime)

    def part_returned(self, request: Request, state: str, result: Value) -> None:
        """Keep what a task of the header came to; with the last one the body is sent."""
        if not request.id or not request.group:
            return
        outcome = [request.id, state, self._backend.encode_result(result, state)]
        value = as_bytes(self._backend.encode(outcome))
        if len(value) > self._backend.limit:
            raise too_large(len(value), self._backend.limit)
        part = Part(request.group, request.id, request.group_index, value)
        attempt = f"count task {part.task} of chord {part.chord}"
        if not self._backend.insist(lambda: self._table.add_part(part, self._lifetime), attempt):
            return
        with self._alone_with(part.chord) as alone:
            # Another that holds the lock sends the body, or dies and is run again.
            if alone and self._table.is_open(part.chord):
                self._complete(part.chord, maybe_signature(request.chord, app=self._backend.app))

    def _complete(self, chord: str, body: Signature) -> None:
        try:
            results = self._results(chord)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the body's failure
            self._fail(chord, body, problem)
            return
        try:
            self._backend.insist(lambda: self._send(chord, body, results), f"send the body of chord {chord}")
        except Reject:
            raise
        except OperationalError:
            raise
        except Exception as problem:  # noqa: BLE001 - a body that cannot be sent is a body that failed
            _log.exception("The body of chord %s cannot be sent", chord)
            self._fail(chord, body, ChordError(f"Callback error: {problem!r}"))

    def _send(self, chord: str, body: Signature, results: list[Value]) -> None:
        app = self._backend.app
        app.amqp._retry_publish(body.delay, results)  # noqa: SLF001 - as Celery's own backends send it
        self._table.end_chord(chord)

    def _fail(self, chord: str, body: Signature, problem: Exception) -> None:
        error = problem if isinstance(problem, ChordError) else ChordError(f"Join error: {problem!r}")
        self._backend.chord_error_from_stack(body, error)
        self._backend.insist(lambda: self._table.end_chord(chord), f"note that chord {chord} is over")

    def _results(self, chord: str) -> list[Any]:
        """Return the header's results in its order; raises what a task of it raised as a `ChordError`."""
        header = GroupResult.restore(chord, backend=self._backend, app=self._backend.app)
        if header is None:
            return [self._value(part) for part in self._table.parts(chord)]
        header.on_ready()
        with allow_join_result():
            joined: list[Any] = header.join_native(
                timeout=self._backend.app.conf.result_chord_join_timeout, propagate=True
            )
        return joined

    def _value(self, part: bytes) -> Value:
        task, state, result = self._backend.decode(part)
        if state in states.EXCEPTION_STATES:
            result = self._backend.exception_to_python(result)
        if state in states.PROPAGATE_STATES:
            error = ChordError(f"Dependency {task} raised {result!r}")
            raise error from (result if isinstance(result, Exception) else None)
        return result

    @property
    def _lifetime(self) -> float | None:
        """Seconds that an unfinished chord is kept."""
        backend = self._backend
        own = backend.app.conf.get("result_chord_expires")
        lifetime: float | None = backend.expires if own is None else backend.prepare_expires(own, type=float)
        return lifetime

    @contextmanager
    def _alone_with(self, chord: str) -> Iterator[bool]:
        """Hold a chord's lock if nobody else does: a byte of a file, of one thread, let go by its holder's death."""
        place = int.from_bytes(blake2b(chord.encode(), digest_size=8).digest()) >> 2
        descriptor = os.open(self._locks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(descriptor, place)
        finally:
            os.close(descriptor)


def _locked(descriptor: int, place: int) -> bool:
    # struct flock of fcntl(2): type, whence, start, length, pid (0 for a lock of the open file description).
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
    with suppress(BlockingIOError):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        return True
    return False
