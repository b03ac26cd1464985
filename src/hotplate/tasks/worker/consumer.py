"""What receives the messages: never gives up on the broker, and loses nothing that it does not understand."""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import suppress
from typing import Any, Final, NamedTuple

from celery import signals
from celery.exceptions import CPendingDeprecationWarning, NotRegistered
from celery.utils.objects import Bunch
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import OperationalError

from hotplate.tasks.app import describe
from hotplate.tasks.worker import attempts, counting, leaving, parking, revoked
from hotplate.tasks.worker.loose import Connection, Message

_log = logging.getLogger("hotplate.tasks")

_FIRST, _STEP, _LONGEST = 0.2, 0.4, 5.0  # seconds between two attempts to connect
_ASK_AFTER: Final = (0.0, 1.0, 5.0)  # seconds
_MOST: Final = 1000  # messages that are kept until they are given back, besides those that run
_SAY_AGAIN: Final = 60.0  # seconds between two lines that say the broker is away


class Waits(CeleryConsumer):
    """Connects for as long as it takes, says what it waits for, and leaves at once when told to meanwhile."""

    told = -_SAY_AGAIN

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect; the refusal of a password or a name, too, may be mended while we wait."""
        if self.app.conf.broker_connection_retry is False:
            return super().ensure_connected(conn)
        while True:
            try:
                with leaving.at_once():
                    conn.ensure_connection(self._note, None, _FIRST, _STEP, _LONGEST, callback=state.maybe_shutdown)
                break
            except (*self.connection_errors, *self.channel_errors, OperationalError) as error:
                self._note(error, _LONGEST)
                with leaving.at_once():
                    state.maybe_shutdown()
                    time.sleep(_LONGEST)
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        counting.COUNTER.connected()
        if self.told > 0:
            _log.info("Connected to the broker %s", describe(self.app).shown)
        self.told = -_SAY_AGAIN
        return conn

    def on_ready(self) -> None:
        """Learn what was revoked while this worker was not there."""
        super().on_ready()
        if self.controller.options.get("without_mingle"):
            # More than once: a broker such as Redis may take a moment until it lets this worker hear answers.
            for seconds in _ASK_AFTER:
                self.timer.call_after(seconds, self._ask_what_was_revoked)

    def _ask_what_was_revoked(self) -> None:
        with suppress(OperationalError, *self.connection_errors, *self.channel_errors):
            revoked.ask(self.app, self.hostname)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Say that the broker went away, in a line."""
        self._note(exc, 0)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Say that the broker went away, in a line, and tidy up as Celery does."""
        self._note(exc, 0)
        quiet = logging.getLogger("celery.worker.consumer.consumer")
        before, quiet.disabled = quiet.disabled, True
        try:
            with warnings.catch_warnings():
                # Of Celery, each time: that tasks should be cut off when the connection is lost.
                warnings.simplefilter("ignore", CPendingDeprecationWarning)
                super().on_connection_error_after_connected(exc)
        finally:
            quiet.disabled = before

    def _note(self, error: BaseException, _seconds: float) -> None:
        problem = f"{error}" or type(error).__name__
        counting.COUNTER.waiting(problem)
        now = time.monotonic()
        if now - self.told >= _SAY_AGAIN:
            self.told = now
            _log.warning("Waiting for the broker %s: %s", describe(self.app).shown, problem)


class _Held(NamedTuple):
    """A message that is given back later.

    Args:
        entry: of the timer.
        roomy: whether a place was made for it.
    """

    entry: Any
    roomy: bool


class Keeps(Waits):
    """The consumer of any app: what it cannot run is given back, then parked; Celery's own destroys it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  the shape is Celery's
        self._held: dict[str, _Held] = {}
        self._missed: set[str] = set()
        super().__init__(*arguments, **options)

    def on_ready(self) -> None:
        """Drop what has been parked for too long."""
        super().on_ready()
        parking.trim(self.app)

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:  # noqa: ARG002  the shape is Celery's
        """Keep a task that is not known here for a while, then give it back: another version may know it."""
        given_back = attempts.number(message.headers, parking.UNKNOWN)
        task, name = _asked_for(message)
        if given_back < attempts.limit(self.app):
            pause = attempts.pause(self.app, given_back)
            if name not in self._missed and len(self._missed) < _MOST:
                self._missed.add(name)
                _log.warning("No task %s here; each is given back after a while, this one in %g s", name, pause)
            self._later(pause, message, given_back + 1)
            return
        if self._lay_aside(message, "unknown", f"no worker knows {name}; its module may not be imported"):
            self.app.backend.mark_as_failure(task, NotRegistered(name), request=_context(message, name))
            signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task)

    def on_unknown_message(self, body: object, message: Message) -> None:  # noqa: ARG002  the shape is Celery's
        """Park a message that asks for no task."""
        self._refuse(message, "not a message of Celery's", None)

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:  # noqa: ARG002  the shape is Celery's
        """Park a message that asks for a task in a way that cannot be understood, or may not be."""
        self._refuse(message, f"{type(exc).__name__}: {exc}", exc)

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Park a message whose content cannot be read."""
        self._refuse(message, f"{type(exc).__name__}: {exc}", exc)

    def on_close(self) -> None:
        """Forget what was to be given back: it comes back by itself, since the connection it came by is gone."""
        for held in self._held.values():
            self.timer.cancel(held.entry)
        self._held.clear()
        super().on_close()

    def _refuse(self, message: Message, problem: str, error: Exception | None) -> None:
        if self._lay_aside(message, "unreadable", problem):
            signals.task_rejected.send(sender=self, message=message, exc=error)

    def _lay_aside(self, message: Message, reason: parking.Reason, detail: str) -> bool:
        try:
            parking.park(self.app, message, reason, detail)
        except OperationalError as error:
            _log.warning("Cannot park %s, trying again: %s", parking.name(message), error)
            self._later(_LONGEST, message, attempts.number(message.headers, parking.UNKNOWN))
            return False
        message.ack_log_error(_log, self.connection_errors)
        return True

    def _later(self, pause: float, message: Message, given_back: int) -> None:
        # As Celery does with tasks that wait for their time: they take no place among those that run. A flood of them
        # does, in the end, since each takes memory.
        roomy = len(self._held) < _MOST
        if roomy:
            self.qos.increment_eventually()
        tag = str(message.delivery_tag)
        self._held[tag] = _Held(self.timer.call_after(pause, self._give_back, (tag, message, given_back)), roomy)

    def _give_back(self, tag: str, message: Message, given_back: int) -> None:
        if self._held.pop(tag).roomy:
            self.qos.decrement_eventually()
        try:
            origin = parking.origin(self.app, message)
            parking.publish(self.app, message, origin, {parking.UNKNOWN: given_back})
        except OperationalError as error:
            _log.warning("Cannot give %s back, trying again: %s", parking.name(message), error)
            self._later(_LONGEST, message, given_back)
            return
        message.ack_log_error(_log, self.connection_errors)


class Consumer(Keeps):
    """The consumer of Hotplate's apps, whose tasks go on while their connection is lost."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Keep a place for each task that still runs: its message comes again, and is taken over (see `strategy`).

        Celery would expect to run it a second time, and leave one of the places empty until the first run has ended.
        """
        super().on_connection_error_after_connected(exc)
        self.initial_prefetch_count = self.max_prefetch_count
        self._maximum_prefetch_restored = True


def _asked_for(message: Message) -> tuple[str, str]:
    """Return the id and the name of the task that a message asks for, by Celery's protocol 1 or 2."""
    headers = message.headers if "task" in message.headers else message.payload
    return str(headers.get("id") or ""), str(headers["task"])


def _context(message: Message, name: str) -> Bunch:
    """Return as much of a task's context as can be told without the task, as Celery does."""
    return Bunch(
        name=name,
        chord=None,
        root_id=message.headers.get("root_id"),
        correlation_id=message.properties.get("correlation_id"),
        reply_to=message.properties.get("reply_to"),
        errbacks=None,
    )
