"""The thread that does all operations of a process on Redis, and knows whether Redis is there.

Whatever is submitted while others are under way is sent at once behind them, so that a hundred look-ups cost about one
round trip. Nobody who asks waits longer than the time budget: what is not answered by then is answered with `LOST`.
When the server itself has kept silent for a few times as long, the link is down: a busy machine is late now and then,
and should not lose its cache for that. Then everything is answered with `LOST` at once, until a connection in the
background has been made and has answered within the budget.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from hotplate.cache.stores.redis_clock import Names, greet, new_epoch, repay
from hotplate.cache.stores.redis_operation import LOST, Debt, Operation
from hotplate.cache.stores.redis_scripts import ALL, GREET, NO_CLOCK, Script
from hotplate.cache.stores.redis_wire import Address, Wire, WireError, fault_of, pack
from hotplate.cache.stores.state_log import StateLog

_log = logging.getLogger("hotplate.cache")
_SLOWEST = 10_000_000  # bytes/s; what is moved at less than 100 Mbit/s is no cache. Gives large values their time.
_MOST_UNSENT = 64_000_000  # bytes waiting to be sent, beyond which nothing large is taken
_LARGE = 10_000
_SILENCE = 5  # budgets after which a server that says nothing is down
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_CALM = 5.0  # seconds up after which the next pause is short again
# Answers of a server that cannot do its work now or for us; in scripts they come inside a longer message.
_UNFIT = re.compile(
    r"\b(LOADING|READONLY|MASTERDOWN|MISCONF|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|NOREPLICAS|NOAUTH|NOPERM|WRONGPASS|BUSY)\b.*"
)


class Link:
    """Operations on one server, in the background.

    Args:
        address: of the server.
        names: of the keys and of this process.
        budget: seconds an operation may take.

    Attributes:
        is_up: whether operations are taken.
        faults: operations that were not done.
        reason: why it is down.
        on_up: called when it has come up, in the link's thread.
        on_down: called when it has gone down, in the link's thread.
    """

    def __init__(self, address: Address, names: Names, budget: float) -> None:
        self.is_up = False
        self.faults = 0
        self.reason = "no connection yet"
        self.on_up: Callable[[], None] = _nothing
        self.on_down: Callable[[], None] = _nothing
        self.debt = Debt()
        self.settled_start = threading.Event()
        self._address = address
        self._names = names
        self._budget = budget
        self._gate = threading.Lock()
        self._inbox: list[Operation] = []
        self._is_closing = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wire: Wire | None = None
        self._under_way: deque[Operation] = deque()
        self._states = StateLog(_log, "up")
        self._since = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hotplate-redis", daemon=True)

    def start(self) -> None:
        """Begin, once `on_up` and `on_down` are set."""
        self._thread.start()

    def submit(self, operation: Operation) -> None:
        """Have it done; never waits."""
        now = time.monotonic()
        operation.deadline = now + self._budget
        with self._gate:
            taken = self.is_up and not self._is_closing and not self._is_choked(operation)
            taken = taken and not (operation.is_urgent and self._is_late(now))
            if taken:
                self._inbox.append(operation)
                if len(self._inbox) == 1:
                    os.eventfd_write(self._wake, 1)
            else:
                self.faults += 1
        if not taken:
            operation.settle(LOST)

    def ask(self, command: tuple[bytes, ...], script: Script | None = None, seconds: float | None = None) -> object:
        """Have it done and return the reply, or `LOST` when that takes longer than the budget, or than `seconds`."""
        if not self.is_up:
            self.faults += 1
            return LOST
        replies: list[object] = []
        waiting = threading.Lock()
        waiting.acquire()

        def done(reply: object) -> None:
            replies.append(reply)
            waiting.release()

        self.submit(Operation(command, done, script, is_urgent=True))
        waiting.acquire(timeout=self._budget if seconds is None else max(0.0, seconds))
        return replies[0] if replies else LOST

    def owe(self, slots: Collection[int] | None) -> None:
        """Remember an invalidation that Redis may not have heard of; None for everything."""
        with self._gate:
            self.debt.add(slots)
            if self.is_up and not self._is_closing:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Send what was submitted, wait for it within the budget, and end."""
        with self._gate:
            if self._is_closing:
                return
            self._is_closing = True
            self._stopping.set()
            os.eventfd_write(self._wake, 1)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(self._budget * 2 + 0.1)

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = 0.0
            try:
                self._connect()
                began = time.monotonic()
                self._serve()
            except WireError as error:
                self._down(str(error), is_told=not self._address.heed(str(error)))
            except Exception as error:  # noqa: BLE001  # a bug must not leave callers waiting for a thread that is no more
                _log.exception("the link to Redis failed")
                self._down(repr(error))
            pause = _FIRST_PAUSE if began and time.monotonic() - began > _CALM else min(pause * 2, _LONGEST_PAUSE)
            self._stopping.wait(pause)
        self._down("closed", is_told=False)
        with self._gate:
            os.close(self._wake)

    def _connect(self) -> None:
        self._wire = wire = self._address.connect()
        greet(wire, self._names)
        wire.call(b"CLIENT", b"SETNAME", b"hotplate")  # for people who read CLIENT LIST; may be refused
        for script in ALL:
            # Where this is refused, or they are flushed later, each is sent whole once, behind what was sent meanwhile.
            wire.call(b"SCRIPT", b"LOAD", script.body)
        while True:
            with self._gate:
                owed, self.debt = self.debt, Debt()
            if owed:
                try:
                    repay(wire, self._names, owed)
                except WireError:
                    self.owe(None if owed.is_everything else owed.slots)
                    raise
            fault = fault_of(wire.call(b"PING", seconds=self._budget))
            if fault:
                raise WireError(fault)
            wire.watch(self._wake)
            with self._gate:
                if self.debt:
                    continue
                self.is_up = True
            self.reason = ""
            self._states.say(
                "up", logging.INFO, f"Redis at {self._address.shown} answers again, after {self._gone():.1f} s"
            )
            self.on_up()
            self.settled_start.set()
            return

    def _gone(self) -> float:
        return time.monotonic() - self._since

    def _serve(self) -> None:
        wire = self._wire
        assert wire is not None  # noqa: S101  # set by _connect, which came before
        while True:
            self._take(wire)
            if self._is_closing and not self._under_way:
                return
            for reply in wire.wait(self._patience()):
                self._answer(wire, reply)
            self._check(wire)

    def _take(self, wire: Wire) -> None:
        with self._gate:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            taken, self._inbox = self._inbox, []
            owes = bool(self.debt)
        if taken:
            self._send(wire, taken)
        if owes:
            raise WireError("an invalidation was not answered")

    def _send(self, wire: Wire, operations: Iterable[Operation]) -> None:
        now = time.monotonic()
        requests = []
        for operation in operations:
            operation.sent = now
            operation.moved = wire.received
            requests.append(operation.request)
            self._under_way.append(operation)
        wire.send(b"".join(requests))

    def _patience(self) -> float:
        if not self._under_way:
            return 3600.0
        until = self._under_way[0].sent + self._budget * _SILENCE
        waits = next((each for each in self._under_way if each.is_urgent and each.done is not None), None)
        if waits is not None:
            until = min(until, waits.deadline)
        return max(0.001, until - time.monotonic())

    def _answer(self, wire: Wire, reply: object) -> None:
        operation = self._under_way.popleft()
        fault = fault_of(reply)
        if fault:
            if self._repair(wire, operation, fault):
                return
            self.faults += 1
            if unfit := _UNFIT.search(fault):
                operation.settle(LOST)
                raise WireError(unfit[0][:200])
        operation.settle(reply)

    def _repair(self, wire: Wire, operation: Operation, fault: str) -> bool:
        """Do it again where only the script or the clock was missing."""
        script = operation.script
        if script is None or operation.tries > 1:
            return False
        again = [operation]
        if fault.startswith("NOSCRIPT"):
            operation.request = pack(script.made_whole(operation.command))
        elif fault.startswith(NO_CLOCK):
            again.insert(0, Operation(GREET.whole(self._names.clock, new_epoch(), b"0")))
        else:
            return False
        operation.tries += 1
        self._send(wire, again)
        return True

    def _check(self, wire: Wire) -> None:
        """Answer those who have waited long enough; find out whether the server has kept silent for too long."""
        now = time.monotonic()
        if self._under_way:
            oldest = self._under_way[0]
            moved = len(oldest.request) + wire.unsent + wire.received - oldest.moved
            allowed = self._budget * _SILENCE + moved / _SLOWEST
            if now - oldest.sent >= allowed:
                raise WireError(f"no answer within {allowed * 1000:.0f} ms")
        for operation in self._under_way:
            if operation.deadline > now:
                break
            if operation.is_urgent and operation.done is not None:
                self.faults += 1
                operation.settle(LOST)

    def _is_late(self, now: float) -> bool:
        """Whether somebody has waited in vain for an answer that is still due: the next one need not wait as well.

        A request asks more than once, and is to lose the budget once.
        """
        try:
            return now - self._under_way[0].sent >= self._budget
        except IndexError:
            return False

    def _is_choked(self, operation: Operation) -> bool:
        wire = self._wire
        return len(operation.request) > _LARGE and wire is not None and wire.unsent > _MOST_UNSENT

    def _down(self, reason: str, *, is_told: bool = True) -> None:
        with self._gate:
            was_up, self.is_up = self.is_up, False
            lost, self._inbox = [*self._under_way, *self._inbox], []
        self._under_way.clear()
        self.reason = reason
        if was_up:
            self._since = time.monotonic()
            self.on_down()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        if is_told:
            line = f"Redis at {self._address.shown} is not used: {reason}; requests go on without it"
            self._states.say("down", logging.WARNING, line)
        self.faults += len(lost)
        for operation in lost:
            operation.settle(LOST)
        self.settled_start.set()


def _nothing() -> None: ...
