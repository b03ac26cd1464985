"""Several servers: a replica that takes over, a cluster's node that sends us on; and servers that come and go."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hotplate.cache.stores.base import Look
from tests.cache.hammer import SIZE, THINGS, Hammer
from tests.cache.redis_control import HASTY, KEY, Begin, kept
from tests.support.services import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.redis


def test_a_replica_that_takes_over_may_lack_the_latest_so_nothing_is_believed(begin: Begin, tmp_path: Path) -> None:
    """Replication is asynchronous: after a failover everything of before is invalid, though the replica has it."""
    port = free_port()
    first = begin(port=str(port), bind="127.0.0.1", **{"repl-diskless-sync-delay": "0"})
    second = begin()
    second.say("REPLICAOF", "127.0.0.1", port)
    # What a name in DNS does for machines.
    way = Path(first.socket.parent, "way")
    way.symlink_to(first.socket)
    store = first.store(url=f"unix://{way}")
    token = kept(store, KEY, b"old", (1,))
    wait_until(lambda: second.keys(KEY.hex()), what="the replica has it")
    second.say("REPLICAOF", "NO", "ONE")
    store.bump([1])
    way.unlink()
    way.symlink_to(second.socket)
    first.kill()
    wait_until(lambda: (now := store.now()) and now.epoch != token.epoch, what="the replica is used")
    assert store.look(KEY).value is None
    assert not store.valid(token, (1,))
    kept(store, KEY, b"new", (1,))


def test_a_server_that_becomes_a_replica_is_left_until_it_takes_writes_again(begin: Begin) -> None:
    """What it cannot write it cannot invalidate, so it is as good as gone."""
    server = begin()
    store = server.store()
    token = kept(store, KEY, b"old", (1,))
    server.say("REPLICAOF", "127.0.0.1", "1")
    store.bump([1])
    wait_until(lambda: not store.state().is_up, what="it is left")
    assert "READONLY" in store.state().detail or "MASTERDOWN" in store.state().detail
    assert not store.valid(token, (1,))
    server.say("REPLICAOF", "NO", "ONE")
    wait_until(lambda: store.state().is_up and store.now(), what="it is used again")
    assert store.look(KEY).value is None


def test_a_cluster_sends_us_to_the_node_that_has_our_keys(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """All keys of a namespace are on one node, whichever node we were given; nobody is told of the detour."""
    # Nodes talk on a port 10,000 above, which must not be one that the kernel gives away meanwhile.
    low_ports = (port for port in iter(free_port, 0) if port < 22_000)
    ports = next(low_ports), next(low_ports)
    asked, owner = (begin(port=str(port), bind="127.0.0.1", **{"cluster-enabled": "yes"}) for port in ports)
    owner.say("CLUSTER", "ADDSLOTS", *range(16_384))
    asked.say("CLUSTER", "MEET", "127.0.0.1", ports[1])
    wait_until(
        lambda: all(b"cluster_state:ok" in node.raw("CLUSTER", "INFO") for node in (asked, owner)),
        what="the cluster is one",
    )
    one = owner.store(url=f"redis://127.0.0.1:{ports[0]}")
    other = owner.store(url=f"redis://127.0.0.1:{ports[1]}")
    token = kept(one, KEY, b"page", (1,))
    assert other.look(KEY).value == b"page"
    other.bump([1])
    assert not one.valid(token, (1,))
    assert one.look(KEY).value is None
    assert [record.getMessage() for record in caplog.records if record.name == "hotplate.cache"] == []


class _Striker(threading.Thread):
    """Reads and changes until told to end, and asks with `look_soon` besides."""

    def __init__(self, hammer: Hammer) -> None:
        super().__init__()
        self.hammer = hammer
        self.asked = self.told = 0
        self.failure: BaseException | None = None
        self.is_over = False

    def run(self) -> None:
        """Strike."""
        try:
            while not self.is_over:
                self.asked += 1
                self.hammer.store.look_soon(KEY, self._hear)
                try:
                    self.hammer.strike()
                except AssertionError as old:
                    # While Redis is gone processes cannot know of each other's changes; values are whole all the same.
                    if "after" not in str(old):
                        raise
        except BaseException as failure:  # noqa: BLE001 - shown by the thread that waits
            self.failure = failure

    def _hear(self, _: Look) -> None:
        self.told += 1


def test_whatever_happens_nobody_waits_fails_or_is_told_twice(begin: Begin) -> None:
    """Under readers and changers the server is frozen and killed; when it is back, nothing old is served."""
    server = begin()
    stores = [server.store(HASTY, is_up=False) for _ in range(3)]
    words = memoryview(bytearray(SIZE)).cast("Q")
    strikers = [_Striker(Hammer(store, words, number, 3)) for number, store in enumerate(stores)]

    def wait_all(is_up: bool) -> None:
        wait_until(lambda: all(store.state().is_up is is_up for store in stores), what=f"for all it is up: {is_up}")

    for striker in strikers:
        striker.start()
    for _ in range(2):
        with server.frozen():
            wait_all(is_up=False)
        wait_all(is_up=True)
        server.kill()
        wait_all(is_up=False)
        server.restart()
        wait_all(is_up=True)
    for striker in strikers:
        striker.is_over = True
    for striker in strikers:
        striker.join()
    assert [striker.failure for striker in strikers] == [None] * 3
    wait_until(lambda: all(striker.told == striker.asked for striker in strikers), what="all have been told once")
    wait_until(lambda: all(store.now() for store in stores), what="the clock is known")
    patient = Hammer(server.store(), words, 0, 1)
    for thing in range(THINGS):
        patient.change(thing)
    for thing in range(THINGS):
        for hammer in (patient, *(striker.hammer for striker in strikers)):
            hammer.page(thing)
