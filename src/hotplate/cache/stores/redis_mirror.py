"""Keeps a process's view of the clock right, by what Redis tells on a connection of its own.

`CLIENT TRACKING ON BCAST` (Redis 6, Valkey) tells the names of announcements, see `redis_scripts`. The connection is
believed only after it has told of a test announcement, because a proxy may take the command and tell nothing; and only
for `LEASE` seconds after each beat that was answered within the budget, so that a connection that is lost, a server
that is frozen, and a process that was stopped itself all end in not believing memory.

Every beat renews our membership among those whom an invalidation waits for; what was heard is acknowledged at once.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from hotplate.cache.stores.redis_clock import Names, greet, new_epoch
from hotplate.cache.stores.redis_scripts import BEAT, GREET, NO_CLOCK, TOUCH
from hotplate.cache.stores.redis_view import View
from hotplate.cache.stores.redis_wire import CONNECT, Address, Wire, WireError, fault_of, pack
from hotplate.cache.stores.state_log import StateLog

BEAT_EVERY = 0.5  # seconds
LEASE = 1.0  # seconds that a view is believed after a beat
MEMBER = 1.2  # seconds that an invalidation waits for us after a beat; longer, as clocks run differently
_SILENT = 2.0  # seconds without a view, while the link is up, before that is worth a line
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_FACTS_EVERY = 10  # beats

_JOIN, _BEAT, _ACKNOWLEDGED, _GREETED, _FACTS = "join", "beat", "acknowledged", "greeted", "facts"
_EVERYTHING = ()  # in place of slots: a new epoch has begun
_FACT = re.compile(r"^(used_memory|maxmemory|evicted_keys):(\d+)\r?$", re.MULTILINE)

_log = logging.getLogger("hotplate.cache")


class _Told(NamedTuple):
    """What an announcement says; `slots` are None where there were too many to name."""

    epoch: int
    seq: int
    slots: tuple[int, ...] | None


class Mirror:
    """Feeds a `View`, in the background, as long as the link is up.

    Args:
        address: of the server.
        names: of the keys and of this process.
        budget: seconds in which a beat has to be answered.
        view: what is fed.

    Attributes:
        on_lost: called when the connection was lost, in the mirror's thread.
        facts: of the server's memory: `used_memory`, `maxmemory`, `evicted_keys`.
    """

    def __init__(self, address: Address, names: Names, budget: float, view: View) -> None:
        self.facts: dict[str, int] = {}
        self.on_lost: Callable[[], None] = _nothing
        self._address = address
        self._clock = names.clock
        self._names = names
        self._budget = budget
        self._view = view
        self._is_wanted = threading.Event()
        self._stopping = threading.Event()
        self._waking = threading.Lock()
        self._is_deaf = False
        self._states = StateLog(_log, "told")
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._replies: deque[str] = deque()  # what the replies under way are to
        self._asked = 0.0
        self._generation = 0
        self._heard = 0  # the number of the last invalidation that was told
        self._told_seq = 0  # and what it must be at the next beat, at least
        self._beats = 0
        self._thread = threading.Thread(target=self._run, name="hotplate-redis-mirror", daemon=True)

    def start(self) -> None:
        """Begin; without a link nothing is done."""
        self._thread.start()

    def link_up(self) -> None:
        """Hear that there is a link: what is owed was made up for, and connections can be had."""
        # What was owed has a number now that we may not have been told of yet: know nothing until we have asked.
        self._view.forget()
        self._view.assure()
        self._is_wanted.set()
        self._prod()

    def link_down(self) -> None:
        """Hear that there is none: nothing is believed, and no connection is tried."""
        self._is_wanted.clear()
        self._view.doubt()

    def close(self) -> None:
        """Leave, so that nobody waits for us."""
        self._stopping.set()
        self._is_wanted.set()
        self._prod()
        if self._thread.is_alive():
            self._thread.join(self._budget * 2 + 0.1)

    def _prod(self) -> None:
        with self._waking:
            if not self._is_deaf:
                os.eventfd_write(self._wake, 1)

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        pause, silent_since = _FIRST_PAUSE, time.monotonic()
        while not self._stopping.is_set():
            if not self._is_wanted.is_set():
                self._is_wanted.wait()
                pause, silent_since = _FIRST_PAUSE, time.monotonic()
            reason = self._follow_until_lost()
            if self._beats > 1:
                pause, silent_since = _FIRST_PAUSE, time.monotonic()
            elif self._is_wanted.is_set() and time.monotonic() - silent_since > _SILENT:
                place = self._address.shown
                line = f"Redis at {place} tells of no invalidations: {reason}; nothing is served from memory"
                self._states.say("silent", logging.WARNING, line)
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        with self._waking:
            self._is_deaf = True
            os.close(self._wake)

    def _follow_until_lost(self) -> str:
        """Returns why it was lost."""
        self._beats = 0
        try:
            self._follow()
        except WireError as error:
            self._address.heed(str(error))
            self.on_lost()
            return str(error)
        except Exception as error:  # noqa: BLE001  # a bug must not end the thread that would make it good
            _log.exception("the mirror of Redis's clock failed")
            return repr(error)
        finally:
            self._view.forget()
        return "it was closed"

    def _follow(self) -> None:
        self._replies.clear()
        self._told_seq = 0
        wire = self._address.connect()
        try:
            self._enter(wire)
            self._join(wire)
            while not self._stopping.is_set():
                self._step(wire)
            self._view.forget()  # first: from then on nobody waits for us to hear of what changes
            wire.send(
                pack((b"ZREM", self._names.members, self._names.who))
                + pack((b"ZREM", self._names.heard, self._names.who))
            )
        finally:
            wire.close()

    def _enter(self, wire: Wire) -> None:
        """Ask to be told, and make sure that we are."""
        for command in ((b"HELLO", b"3"), (b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", self._clock)):
            if fault := fault_of(wire.call(*command)):
                raise WireError(fault[:200])
        greet(wire, self._names)
        test = self._clock + b":test:" + self._names.who
        wire.send(pack(TOUCH.whole(test)))
        until = time.monotonic() + CONNECT
        is_answered = is_told = False
        while not (is_answered and is_told):
            for reply in wire.wait(until - time.monotonic()):
                if wire.is_push(reply):
                    is_told = is_told or test in (_names_of(reply) or ())
                elif fault := fault_of(reply):
                    raise WireError(fault[:200])
                else:
                    is_answered = True
            if time.monotonic() > until:
                raise WireError("it takes CLIENT TRACKING but tells nothing")
        wire.watch(self._wake)

    def _step(self, wire: Wire) -> None:
        is_asked = _JOIN in self._replies or _BEAT in self._replies
        due = self._asked + (self._budget if is_asked else BEAT_EVERY)
        for reply in wire.wait(due - time.monotonic()):
            if wire.is_push(reply):
                self._hear(wire, reply)
            else:
                self._answer(wire, self._replies.popleft(), reply)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        if self._view.epoch() < 0 and _JOIN not in self._replies:
            self._join(wire)
        if time.monotonic() < due:
            return
        if not is_asked:
            self._beat(wire, b"%d" % self._heard, _BEAT)
        elif _JOIN in self._replies or _BEAT in self._replies:
            raise WireError(f"no answer within {self._budget * 1000:g} ms")

    def _join(self, wire: Wire) -> None:
        """Begin anew with the clock as it is when Redis answers; what it tells before that is part of the answer."""
        self._generation = self._view.forget()
        self._beat(wire, b"", _JOIN)

    def _beat(self, wire: Wire, heard: bytes, kind: str) -> None:
        self._asked = time.monotonic()
        self._replies.append(kind)
        request = pack(BEAT.whole(*self._names, b"%d" % (MEMBER * 1000), heard))
        if self._beats % _FACTS_EVERY == 0:
            self._replies += (_FACTS, _FACTS)
            request += pack((b"INFO", b"memory")) + pack((b"INFO", b"stats"))
        self._beats += 1
        wire.send(request)

    def _hear(self, wire: Wire, push: list[Any]) -> None:
        if _JOIN in self._replies:
            return
        names = _names_of(push)
        announcements = [name[len(self._clock) + 1 :] for name in names or () if name != self._clock]
        told = [one for one in map(_told, announcements) if one is not None]
        begun = [one for one in told if one.slots == _EVERYTHING]
        if not announcements or len(begun) > 1:
            # Everything was flushed, the clock was lost or evicted, or it is not to be seen which epoch is the last.
            self._join(wire)
            return
        for one in begun:
            self._view.renew(one.epoch, one.seq)
        for one in told:
            # With an epoch that begins, invalidations of the one before may be told: they are over.
            if one not in begun and not self._view.hear(*one) and not begun:
                self._join(wire)
                return
        # What others invalidated before comes in order, so this says of all up to here that we have heard of it.
        self._heard = max(self._heard, *(one.seq for one in told), 0)
        wire.send(pack((b"ZADD", self._names.heard, b"%d" % self._heard, self._names.who)))
        self._replies.append(_ACKNOWLEDGED)

    def _answer(self, wire: Wire, kind: str, reply: Any) -> None:  # noqa: ANN401  # a reply is anything
        if kind == _FACTS:
            self._note(reply)
        if kind not in {_JOIN, _BEAT}:
            return
        if fault := fault_of(reply):
            if not fault.startswith(NO_CLOCK):
                raise WireError(fault[:200])
            wire.send(pack(GREET.whole(self._clock, new_epoch(), b"0")))
            self._replies.append(_GREETED)
            self._join(wire)
            return
        epoch, seq = int(reply[0]), int(reply[1])
        if kind == _JOIN:
            if _JOIN in self._replies:
                return
            if not self._view.begin(epoch, seq, self._generation):
                self._join(wire)
                return
            self._heard = seq
            self._states.say("told", logging.INFO, f"Redis at {self._address.shown} tells of invalidations again")
        elif self._heard < self._told_seq:
            raise WireError("it does not tell of all invalidations")
        elif self._view.epoch() != epoch:
            self._join(wire)
            return
        self._told_seq = seq
        self._view.trust(self._asked + LEASE)

    def _note(self, info: object) -> None:
        if isinstance(info, bytes | str):
            text = info if isinstance(info, str) else info.decode("ascii", "replace")
            self.facts |= {name: int(value) for name, value in _FACT.findall(text)}


def _nothing() -> None: ...


def _names_of(push: list[Any]) -> list[bytes] | None:
    """Return the keys that were changed, None for all there are."""
    if len(push) < 2 or push[0] != b"invalidate":
        return []
    return None if push[1] is None else [bytes(name) for name in push[1]]


def _told(announcement: bytes) -> _Told | None:
    """Return what an announcement says, None for one that says nothing.

    Example:
        >>> _told(b"5:11:7,12"), _told(b"5:11:?").slots, _told(b"test:ab")
        (_Told(epoch=5, seq=11, slots=(7, 12)), None, None)
    """
    words = announcement.split(b":")
    try:
        epoch, seq, what = int(words[0]), int(words[1]), words[2]
        if what in {b"?", b"*"}:
            return _Told(epoch, seq, _EVERYTHING if what == b"*" else None)
        return _Told(epoch, seq, tuple(map(int, what.split(b","))))
    except (ValueError, IndexError):
        return None
