"""The store of many machines: Redis 6 and later, or Valkey.

Redis being slow, full, restarted or gone never takes a request with it: no call takes longer than the time budget, and
while Redis is known to be down every call returns at once, as if nothing were kept. How each promise of `base.Store` is
kept, and what it costs, is in docs/redis.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from secrets import token_hex
from urllib.parse import quote

from hotplate.cache.stores.base import Look, StoreState, Token
from hotplate.cache.stores.frame import pack_frame, parse
from hotplate.cache.stores.redis_clock import Names, bump, new_epoch
from hotplate.cache.stores.redis_link import Link
from hotplate.cache.stores.redis_mirror import MEMBER, Mirror
from hotplate.cache.stores.redis_operation import Operation
from hotplate.cache.stores.redis_scripts import BUMP, GREET, LEASE, LOOK, MOST_SLOTS, PUT, RELEASE, UNHEARD, Script
from hotplate.cache.stores.redis_view import View
from hotplate.cache.stores.redis_wire import Address, fault_of
from hotplate.cache.stores.state_log import StateLog

MOST_BYTES = 16_000_000  # of one value: larger ones would keep everybody else waiting
BUDGET = 0.02  # seconds; Souin's storage timeout is 10 to 20 ms: a cache is not to be slower than the app
_LONGEST = 366 * 86_400.0  # seconds; what lives longer than that is forgotten anyway
_GONE = b"5000"  # milliseconds after which one who was expected to be heard of is gone, and its leases with it
_ROOM_AGAIN = 10.0  # seconds without a refusal until there is said to be room again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0003, 0.002

_log = logging.getLogger("hotplate.cache")


class RedisStore:
    """Keeps values in one Redis or Valkey for all processes on all machines that use the same `namespace`.

    Args:
        url: as in REDIS_URL: `redis://`, `rediss://` or `unix://`.
        namespace: what shares entries, leases and invalidations. Releases of one app should share it: their keys differ
            anyway, and an invalidation by one must reach the workers of the other.
        budget: seconds that any call may take altogether.

    Raises:
        HotplateError: the URL is of no known form, or redis-py or hiredis is not installed. Not being able to connect
            is no error: the store heals by itself.

    Example:
        store = RedisStore("redis://cache.internal:6379/0", "shop")
        look = store.look(key)
        if look.value is None and look.token is not None:
            store.put(key, b"page", look.token, (7,), 60)
    """

    is_slow = True
    is_shared = True

    def __init__(self, url: str, namespace: str = "hotplate", *, budget: float = BUDGET) -> None:
        self._address = Address(url)
        self._budget = budget
        # In braces: all keys of a namespace are in one slot of a cluster, so scripts may touch several.
        prefix = b"{hotplate:" + quote(namespace, safe="").encode() + b"}:"
        who = token_hex(8).encode()
        self._names = Names(prefix + b"clock", prefix + b"members", prefix + b"heard", who)
        self._entry = prefix + b"e:"
        self._lease = prefix + b"l:"
        self._full = StateLog(_log, "room")
        self._refused_at = 0.0
        self._evicted_before: int | None = None
        self._view = View()
        self._view.doubt()  # taken back when the link is up
        self._link = Link(self._address, self._names, budget)
        self._mirror = Mirror(self._address, self._names, budget, self._view)
        self._link.on_up = self._mirror.link_up
        self._link.on_down = self._mirror.link_down
        # A server that went silent is found to be down before the next request finds it.
        self._mirror.on_lost = lambda: self._link.submit(Operation((b"PING",)))
        # Bound once: every hit in memory asks it.
        self.valid = self._view.valid
        self._mirror.start()
        self._link.start()
        self._link.settled_start.wait(budget)

    def look(self, key: bytes) -> Look:
        """Return what is kept under `key`, if it is valid."""
        return self._found(self._link.ask(LOOK.call(self._names.clock, self._at(key)), LOOK))

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look without waiting; `told` hears of it, in any thread, exactly once and within the budget."""
        command = LOOK.call(self._names.clock, self._at(key))
        self._link.submit(Operation(command, lambda reply: told(self._found(reply)), LOOK, is_urgent=True))

    def put(self, key: bytes, value: bytes, token: Token, slots: Sequence[int], seconds: float) -> None:
        """Keep `value` for `seconds`, unless one of `slots` or everything was invalidated since `token`; queued."""
        if seconds <= 0:
            return
        if len(slots) > MOST_SLOTS or len(value) > MOST_BYTES:
            self.drop((key,))
            return
        seconds = min(seconds, _LONGEST)
        frame = pack_frame(value, token, slots, time.time() + seconds)
        lifetime = b"%d" % max(1, seconds * 1000)
        numbers = [b"%d" % number for number in (*token, *slots)]
        command = PUT.call(self._names.clock, self._at(key), lifetime, frame, b" ".join(numbers), *numbers)
        self._link.submit(Operation(command, self._was_put, PUT))

    def drop(self, keys: Collection[bytes]) -> None:
        """Forget what is kept under `keys`; queued."""
        if keys:
            self._link.submit(Operation((b"UNLINK", *(self._at(key) for key in keys))))

    def now(self) -> Token | None:
        """Return the clock; None where it is not known."""
        return self._view.now()

    def bump(self, slots: Collection[int]) -> None:
        """Invalidate what depends on `slots`: here and in Redis at once, elsewhere when others have acknowledged it.

        As long as Redis answers this waits for the others: one who does not acknowledge stops believing its memory
        within a second. What Redis cannot be told is made up for before anything is taken from it again.
        """
        if not slots:
            return
        numbers = [b"%d" % slot for slot in slots]
        self._invalidate(BUMP, BUMP.call(*bump(self._names, numbers)), slots)

    def clear(self) -> None:
        """Invalidate everything, as `bump` does."""
        self._invalidate(GREET, GREET.call(self._names.clock, new_epoch(), b"1"), None)

    def lease(self, key: bytes, seconds: float) -> bool:
        """Try to become the one who computes `key`; also true where Redis cannot be asked, as work must go on."""
        lifetime = b"%d" % max(1, seconds * 1000)
        command = LEASE.call(self._lease_of(key), self._names.members, self._names.who, lifetime, _GONE)
        return self._link.ask(command, LEASE) != 0

    def release(self, key: bytes) -> None:
        """Give back a lease of this process; queued."""
        self._link.submit(Operation(RELEASE.call(self._lease_of(key), self._names.who), None, RELEASE))

    def state(self) -> StoreState:
        """How it is doing; entries are not counted, and memory is that of the whole server."""
        facts, link = self._mirror.facts, self._link
        evicted = facts.get("evicted_keys")
        if self._evicted_before is None:
            self._evicted_before = evicted
        trouble = link.reason or ("full" if self._full.state == "full" else "")
        return StoreState(
            kind="redis",
            entries=-1,
            used=facts.get("used_memory", -1),
            limit=facts.get("maxmemory", 0),
            is_up=link.is_up,
            detail=f"{self._address.shown}: {trouble}" if trouble else self._address.shown,
            evicted=(evicted or 0) - (self._evicted_before or 0),
            faults=link.faults,
        )

    def close(self) -> None:
        """Finish what is queued, within the budget, and let go of the connections."""
        self._link.close()
        self._mirror.close()

    def _at(self, key: bytes) -> bytes:
        return self._entry + key.hex().encode()

    def _lease_of(self, key: bytes) -> bytes:
        return self._lease + key.hex().encode()

    # ---------------------------------------------------------------- what Redis answered

    def _found(self, reply: object) -> Look:
        if not isinstance(reply, list):
            return Look(None, None)
        try:
            now = Token(int(reply[0]), int(reply[1]))
        except (TypeError, ValueError, IndexError):
            return Look(None, None)
        if len(reply) < 4:
            return Look(None, now)
        frame = parse(reply[3]) if isinstance(reply[3], bytes) else None
        if frame is None or reply[2] != _meta(frame.token, frame.slots):
            return Look(None, now)  # cut off, damaged, or not ours
        self._view.learn(now.epoch, now.seq, frame.slots, [int(last) for last in reply[4:]])
        return Look(frame.payload, frame.token, frame.slots, frame.dies)

    def _was_put(self, reply: object) -> None:
        fault = fault_of(reply)
        if fault.startswith("OOM") or "OOM command" in fault:
            self._refused_at = time.monotonic()
            line = f"Redis at {self._address.shown} is full and may not evict (maxmemory-policy): nothing new is kept"
            self._full.say("full", logging.WARNING, line)
        elif reply == 1 and self._full.state == "full" and time.monotonic() - self._refused_at > _ROOM_AGAIN:
            self._full.say("room", logging.INFO, f"Redis at {self._address.shown} has room again")

    def _invalidate(self, script: Script, command: tuple[bytes, ...], slots: Collection[int] | None) -> None:
        until = time.monotonic() + max(MEMBER, self._budget)
        order = _Order(self._view, self._link, slots)
        self._link.submit(Operation(command, order.done, script))
        seq = order.wait(until - time.monotonic())
        command = UNHEARD.call(self._names.members, self._names.heard, b"%d" % seq, _GONE)
        pause = _FIRST_PAUSE
        while seq and self._link.is_up and time.monotonic() < until:
            if self._link.ask(command, UNHEARD) == 0:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)


class _Order:
    """One invalidation on its way to Redis, from the caller who waits for it to whatever becomes of it."""

    def __init__(self, view: View, link: Link, slots: Collection[int] | None) -> None:
        self._view = view
        self._link = link
        self._slots = slots
        self._changing = threading.Lock()
        self._arrived = threading.Event()
        self._is_abandoned = False
        self._seq = 0

    def done(self, reply: object) -> None:
        """Take in what Redis answered, or that it did not."""
        if isinstance(reply, list):
            epoch, seq = int(reply[0]), int(reply[1])
            self._view.change(epoch, seq, self._slots)
            # Nobody else follows the clock: nobody to wait for.
            self._seq = 0 if len(reply) > 2 and reply[2] == 0 else seq
        else:
            self._view.forget()
            self._link.owe(self._slots)
        with self._changing:
            self._arrived.set()
            if self._is_abandoned:
                self._view.assure()

    def wait(self, seconds: float) -> int:
        """Return the invalidation's number where others may have to hear of it; 0 where there is nothing to wait for.

        Memory is not believed from when we give up until it is known what became of the invalidation.
        """
        if self._arrived.wait(max(0.0, seconds)):
            return self._seq
        with self._changing:
            if not self._arrived.is_set():
                self._is_abandoned = True
                self._view.doubt()
        return 0


def _meta(token: Token, slots: Sequence[int]) -> bytes:
    """Return what scripts read of an entry; the frame around the value says the same, with a checksum."""
    return b" ".join(b"%d" % number for number in (*token, *slots))
