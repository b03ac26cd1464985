"""Runs calls that may block in threads of their own: a fixed number of them, or as many as measurement asks for.

Calls start in the order they came (FIFO). The way in is short, since every request of a WSGI app takes it: measured,
`submit` costs 0.3 microseconds, of which a bare `SimpleQueue.put` is 0.05.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING

from hotplate.gateway.pool_control import Controller
from hotplate.gateway.pool_policy import Policy
from hotplate.gateway.poolthread import PoolThread, here

if TYPE_CHECKING:
    from hotplate.settings import Settings

_log = logging.getLogger("hotplate.gateway")

MOST_DETACHED = 1000
"""Threads that streams may own beside the pool: 8 MiB of address space and some 30 KiB of memory each."""

Call = Callable[[], object]


class Pool:
    """The threads of one worker. Nothing is started before the first call, so it may be made before a fork.

    Args:
        settings: `threads` ("auto" or a fixed number) and `max_threads` (bound of "auto").
        cores: cores this worker may use, 1.0 where there is a worker per core; with more, native code that releases
            the GIL may lift the number of threads.

    Example:
        >>> from hotplate.settings import Settings
        >>> pool = Pool(Settings(threads=1))
        >>> answers: SimpleQueue[int] = SimpleQueue()
        >>> pool.submit(lambda: answers.put(6 * 7))
        >>> answers.get()
        42
        >>> pool.stop(grace=1.0)
    """

    def __init__(self, settings: Settings, cores: float = 1.0) -> None:
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._items: deque[tuple[float, Call]] = deque()
        self._lock = threading.Lock()
        self._members: list[PoolThread] = []
        self._handles: dict[PoolThread, threading.Thread] = {}
        self._detached = 0
        self._finished = 0
        self._callers: dict[int, int] = {}
        self._stopped = False
        self._must_wake = True
        self._serial = 0
        self._controller: Controller | None
        if settings.threads == "auto":
            self._wanted = 1
            self._controller = Controller(self, Policy(settings.max_threads, cores))
        else:
            self._wanted = settings.threads
            self._controller = None

    def submit(self, call: Call, /) -> None:
        """Run `call` in a thread of the pool, after those submitted before it; an exception it raises is logged."""
        # An item and a token for it: unlike a queue of items, this shows how old the oldest is.
        self._items.append((perf_counter(), call))
        self._tokens.put(None)
        if self._must_wake or threading.get_ident() not in self._callers:
            self._wake()

    @property
    def threads(self) -> int:
        """Threads that take calls; streams' own threads have left."""
        return len(self._members)

    @property
    def busy(self) -> int:
        """Threads that are running a call."""
        return sum(1 for member in tuple(self._members) if member.since)

    @property
    def queued(self) -> int:
        """Calls that no thread has taken yet."""
        return len(self._items)

    @property
    def detached(self) -> int:
        """Threads that belong to a stream."""
        return self._detached

    @property
    def members(self) -> tuple[PoolThread, ...]:
        """What is known of each thread that takes calls."""
        return tuple(self._members)

    @property
    def finished(self) -> int:
        """Calls that have ended, by all threads that ever were."""
        return self._finished + sum(member.done for member in tuple(self._members))

    @property
    def callers(self) -> Iterable[int]:
        """Native ids of the threads that submit calls: what they use of the GIL is not free for the pool."""
        return tuple(self._callers.values())

    def oldest(self) -> float:
        """How long the oldest queued call has been waiting, in seconds; 0.0 when none is."""
        try:
            return perf_counter() - self._items[0][0]
        except IndexError:
            return 0.0

    def detach(self) -> bool:
        """Make the calling thread the running call's own, and let another take its place in the pool.

        For streams that may last long: they must not use up the pool. The thread ends with its call.

        Returns:
            False when `MOST_DETACHED` are detached already, or the caller is not a thread of the pool: it stays.
        """
        member = here.thread
        with self._lock:
            if member is None or member not in self._handles or member.detached or self._detached >= MOST_DETACHED:
                return False
            member.detached = True
            self._detached += 1
            self._members.remove(member)
            self._finished += member.done
        self.resize(self._wanted)
        return True

    def resize(self, wanted: int) -> None:
        """Have `wanted` threads: missing ones start at once, surplus ones leave when they have nothing to do."""
        with self._lock:
            self._wanted = wanted
            missing = (0 if self._stopped else wanted) - len(self._members)
            starting = [self._new_member() for _ in range(missing)]
        for number, thread in enumerate(starting):
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left for us
                self._could_not_start(starting[number:], error)
                break
        for _ in range(-missing):
            self._tokens.put(None)  # without an item: wakes an idle thread, which then finds itself surplus

    def stop(self, grace: float = 0.0) -> None:
        """Let the threads end when the queue is empty, and wait up to `grace` seconds for them.

        A thread that does not end in time is left behind; it does not keep the process alive.
        """
        self._stopped = True
        if self._controller is not None:
            self._controller.stop()
        self.resize(0)
        deadline = perf_counter() + grace
        for thread in tuple(self._handles.values()):
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - perf_counter()))

    def sleep(self) -> bool:
        """Ask that the next `submit` wake the controller; False when there is something to do already."""
        self._must_wake = True
        return not self._items

    def forget_caller(self, native_id: int) -> None:
        """A thread that used to submit calls has ended."""
        for ident, known in tuple(self._callers.items()):
            if known == native_id:
                self._callers.pop(ident, None)

    def _wake(self) -> None:
        self._callers[threading.get_ident()] = threading.get_native_id()
        self._must_wake = False
        if len(self._members) < self._wanted:
            self.resize(self._wanted)
        if self._controller is not None and not self._stopped:
            self._controller.wake()

    def _new_member(self) -> threading.Thread:
        member = PoolThread()
        self._serial += 1
        thread = threading.Thread(target=self._work, args=(member,), name=f"pool-{self._serial}", daemon=True)
        self._members.append(member)
        self._handles[member] = thread
        return thread

    def _could_not_start(self, threads: list[threading.Thread], error: RuntimeError) -> None:
        with self._lock:
            for member in [member for member, thread in self._handles.items() if thread in threads]:
                self._members.remove(member)
                del self._handles[member]
            self._wanted = max(1, len(self._members))
            if not self._members:
                raise error
        _log.warning("The system refuses a thread more than %d (%s); going on with these", self._wanted, error)

    def _work(self, member: PoolThread) -> None:
        member.begin()
        take, pop, clock = self._tokens.get, self._items.popleft, perf_counter
        while True:
            take()
            try:
                submitted, call = pop()
            except IndexError:  # a token without an item
                if self._leave(member):
                    return
                continue
            member.since = now = clock()
            member.delay = now - submitted
            try:
                call()
            except BaseException:  # noqa: BLE001  # whatever ends a call must not end the thread
                _log.exception("A call in the thread pool failed")
            del call  # what it held must not live until the next one comes
            member.since = 0.0
            member.done += 1
            if (member.detached or len(self._members) > self._wanted) and self._leave(member):
                return

    def _leave(self, member: PoolThread) -> bool:
        with self._lock:
            if member.detached:
                self._detached -= 1
            elif len(self._members) > self._wanted and not (self._stopped and self._items):
                self._members.remove(member)
                self._finished += member.done
            else:
                return False
            del self._handles[member]
            return True
