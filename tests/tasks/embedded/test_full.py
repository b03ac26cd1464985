"""A disk without room: producers are told, what was accepted stays, and it goes on when there is room again."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from hotplate.tasks.embedded import channel, file, messages, url
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Outgoing
from hotplate.tasks.embedded.problems import DiskFullError
from tests.tasks.embedded import children
from tests.tasks.embedded.kombus import Connection, Queue


def put(store: Store, payload: bytes) -> None:
    """Sends to the queue q."""
    with store.write() as writing:
        messages.put(writing, Outgoing("q", payload), 0.0)


@contextmanager
def at_most(store: Store, size: int) -> Iterator[None]:
    """Keeps the process from writing beyond `size` bytes of any file, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_producer_is_told_and_what_was_accepted_stays(store: Store) -> None:
    """The error says which disk and what to do; every accepted message is there, whole, and no other."""
    accepted = []
    with at_most(store, 300_000):
        for number in range(1000):
            payload = f"{number}".encode() * 500
            try:
                put(store, payload)
            except DiskFullError as problem:
                refusal = problem
                break
            accepted.append(payload)
        else:
            pytest.fail("there was always room")
        assert isinstance(refusal, OperationalError)
        assert "no room" in str(refusal)
        assert f"df {store.path.parent}" in refusal.remedy
        assert [one.payload for one in store.peek("q", 10_000)] == accepted
    put(store, b"room again")
    store.close()
    assert [one.payload for one in store.peek("q", 10_000)] == [*accepted, b"room again"]


def test_what_cannot_be_acknowledged_now_is_acknowledged_later(store: Store, connection: Any) -> None:
    """A consumer without room waits, loses nothing, and writes its acknowledgements when there is room."""
    got: list[Any] = []
    consumer = connection.Consumer([Queue("q")], callbacks=[lambda _body, message: got.append(message)])
    consumer.qos(prefetch_count=2)
    consumer.consume()
    for number in range(3):
        connection.Producer().publish(str(number), routing_key="q")
    connection.drain_events(timeout=10)
    connection.drain_events(timeout=10)
    with at_most(store, 0):
        got[0].ack()
        got[1].ack()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
        assert store.counts()["q"][:3] == (1, 0, 2)
    connection.drain_events(timeout=30)
    assert [message.body for message in got] == [b"0", b"1", b"2"]
    assert store.counts()["q"][:3] == (0, 0, 1)


def test_what_a_closed_connection_could_not_acknowledge_the_next_one_does(store: Store, connection: Any) -> None:
    """A worker that connects again, as after an error, does nothing twice that it had done."""
    first = connection.clone()
    queue = Queue("q")(first.default_channel)
    queue.declare()
    for number in range(3):
        connection.Producer().publish(str(number), routing_key="q")
    done, unfinished = queue.get(), queue.get()
    assert (done.body, unfinished.body) == (b"0", b"1")
    with at_most(store, 0):
        done.ack()
        first.close()
        assert store.counts()["q"][:3] == (1, 0, 2)
    got: list[Any] = []
    consumer = connection.Consumer([Queue("q")], callbacks=[lambda _body, message: got.append(message)])
    consumer.consume()
    connection.drain_events(timeout=30)
    connection.drain_events(timeout=30)
    assert [message.body for message in got] == [b"1", b"2"]
    assert store.counts()["q"][:3] == (0, 0, 2)


def test_producers_leave_what_workers_need_to_make_room(
    store: Store, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last megabytes of a disk are for acknowledging: sending is refused before nothing can be written at all."""
    connection.Producer().publish("accepted", routing_key="q")
    disk = os.statvfs(store.path.parent)
    monkeypatch.setattr(channel, "KEEP_FREE", disk.f_blocks * disk.f_frsize + 2**20)
    with pytest.raises(OperationalError, match="no room"):
        connection.Producer().publish("refused", routing_key="q")
    message = Queue("q")(connection.default_channel).get()
    message.ack()
    assert store.counts() == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 12 MB; only the superuser may have one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system of its own: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_really_full_is_worked_empty(small_disk: Path) -> None:
    """On a small file system: filled by producers in another process to the last byte they get, then worked through."""
    where = small_disk / "state" / "tasks.sqlite"

    def fill() -> None:
        with Connection(url(where)) as connection:
            producer = connection.Producer()
            for number in range(100_000):
                try:
                    producer.publish(f"{number}" * 300, routing_key="q")
                except OperationalError:
                    (small_disk / "count").write_text(str(number))
                    return
        raise AssertionError("there was always room")

    assert children.run(fill) == 0
    accepted = int((small_disk / "count").read_text())
    assert accepted > 100
    (small_disk / "other").write_bytes(b"\0" * 2**20)  # somebody else takes some of what producers have left
    with Connection(url(where)) as connection:
        queue = Queue("q")(connection.default_channel)
        for number in range(accepted):
            message = queue.get()
            assert bytes(message.body).decode() == f"{number}" * 300
            message.ack()
        assert queue.get() is None
        (small_disk / "other").unlink()
        connection.Producer().publish("room again", routing_key="q")
    file.open(where).close()
