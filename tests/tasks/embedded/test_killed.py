"""Killed anywhere: whoever dies between any two statements loses nothing, and repeats nothing acknowledged."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotplate.tasks.embedded import envelope, messages, url
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Outgoing
from hotplate.tasks.embedded.sweep import sweep
from tests.tasks.embedded import children
from tests.tasks.embedded.kombus import Connection, Queue


class Deadly:
    """An SQLite connection that kills its process before, or right after, its nth statement."""

    def __init__(self, connection: sqlite3.Connection, steps: int, *, after: bool) -> None:
        self._connection = connection
        self._steps = steps
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "executemany"}:
            return found

        def step(*arguments: object) -> object:
            self._steps -= 1
            if self._steps == 0 and not self._after:
                children.die()
            result = found(*arguments)
            if self._steps == 0 and self._after:
                children.die()
            return result

        return step


def killed_at_every_step(store: Store, work: Callable[[], None], check: Callable[[bool], None]) -> int:
    """Kills a child that works before and after each of its statements; returns after how many it came to its end."""
    for steps in range(1, 100):
        for after in (False, True):

            def child(steps: int = steps, *, after: bool = after) -> None:
                opened = store._opened()
                deadly = Deadly(opened, steps, after=after)
                store._opened = lambda: deadly  # type: ignore[assignment, method-assign, return-value]  # the same to use
                work()

            status = children.run(child)
            check(status == 0)
            if status == 0:
                return steps
            assert status == signal.SIGKILL
    raise AssertionError("it never ended")


def put(store: Store, payload: bytes = b"x") -> None:
    """Sends to the queue q."""
    with store.write() as writing:
        messages.put(writing, Outgoing("q", payload), time.time())


def test_a_producer_killed_at_any_step_has_sent_all_or_nothing(store: Store) -> None:
    """A message is in the file once or not at all; nobody is held up by the dead one."""
    seen = []

    def check(ended: bool) -> None:
        seen.append(len(store.peek("q")))
        assert seen[-1] <= 1
        assert seen[-1] == 1 or not ended
        with store.write() as writing:
            messages.purge(writing, "q")

    assert killed_at_every_step(store, lambda: put(store), check) > 2
    assert sorted(set(seen)) == [0, 1]


def test_a_consumer_killed_at_any_step_of_taking_loses_nothing(store: Store) -> None:
    """Its message is ready, or is given back as soon as somebody looks: redelivered exactly if it was taken."""

    def take() -> None:
        with store.write() as writing:
            messages.take(writing, ["q"], 1, store.owner(writing))

    def check(_ended: bool) -> None:
        taken = store.counts()["q"].taken
        assert sweep(store) == taken
        (message,) = store.peek("q")
        assert (message.state, message.redelivered) == ("ready", bool(taken))
        with store.write() as writing:
            messages.purge(writing, "q")
        put(store)
        with store.read() as reading:
            assert reading.execute("SELECT count(*) FROM owners").fetchone() == (0,)

    put(store)
    assert killed_at_every_step(store, take, check) > 4


def test_a_consumer_killed_at_any_step_of_acknowledging_is_done_or_redelivered(store: Store) -> None:
    """Never gone without being acknowledged, never there after the acknowledgement was written."""
    left = []

    def acknowledge() -> None:
        with store.write() as writing:
            owner = store.owner(writing)
            taken = messages.take(writing, ["q"], 1, owner)
        with store.write() as writing:
            messages.acknowledge(writing, owner, [taken[0].id])

    def check(ended: bool) -> None:
        sweep(store)
        left.append([message.state for message in store.peek("q")])
        assert left[-1] in ([], ["ready"])
        assert not (ended and left[-1])
        with store.write() as writing:
            messages.purge(writing, "q")
        put(store)

    put(store)
    killed_at_every_step(store, acknowledge, check)
    assert [] in left
    assert ["ready"] in left


def test_whoever_buries_the_dead_may_be_killed_as_well(store: Store) -> None:
    """Giving back what a dead consumer had is done once, whole, by whoever comes next."""

    def leave_one() -> None:
        def take() -> None:
            with store.write() as writing:
                messages.take(writing, ["q"], 1, store.owner(writing))
            children.die()

        assert children.run(take) == signal.SIGKILL

    def bury() -> None:
        sweep(store)

    def check(_ended: bool) -> None:
        sweep(store)
        assert [message.state for message in store.peek("q")] == ["ready"]
        leave_one()

    put(store)
    leave_one()
    assert killed_at_every_step(store, bury, check) > 3


class Logs:
    """What was sent and what was done, as told by processes that may die at any time."""

    def __init__(self, folder: Path) -> None:
        self.sent = folder / "sent"
        self.done = folder / "done"
        self.sent.touch()
        self.done.touch()

    @staticmethod
    def note(log: Path, text: str) -> None:
        """Adds a line, whole or not at all."""
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)


def produce(store: Store, logs: Logs) -> None:
    """Sends until it is killed, and notes what was accepted."""
    with Connection(url(store.path)) as connection:
        producer = connection.Producer()
        for number in range(1_000_000):
            name = f"{os.getpid()}-{number}"
            producer.publish(name, routing_key="q")
            logs.note(logs.sent, name)


def consume(store: Store, logs: Logs) -> None:
    """Works until it is killed: notes what it does, then acknowledges."""

    def work(text: str, message: Any) -> None:
        logs.note(logs.done, text)
        message.ack()

    with Connection(url(store.path)) as connection:
        consumer = connection.Consumer([Queue("q")], callbacks=[work])
        consumer.qos(prefetch_count=3)
        with consumer:
            while True:
                connection.drain_events()


@pytest.mark.process
def test_killed_at_random_nothing_is_lost(store: Store, tmp_path: Path) -> None:
    """Producers and consumers die all the time for some seconds; whatever was accepted is done, or still there."""
    dice = random.Random(11)
    logs = Logs(tmp_path)
    alive = {
        children.start(partial(kind, store, logs)): partial(kind, store, logs) for kind in (produce, consume, consume)
    }
    until = time.monotonic() + 3
    while time.monotonic() < until:
        time.sleep(dice.uniform(0.02, 0.2))
        victim = dice.choice(list(alive))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        work = alive.pop(victim)
        alive[children.start(work)] = work
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    sweep(store)
    left = store.peek("q", 1_000_000)
    done = logs.done.read_text().split()
    assert set(logs.sent.read_text().split()) <= set(done) | {body(one.payload) for one in left}
    assert {one.state for one in left} <= {"ready"}
    assert len(done) > 50


def body(payload: bytes) -> str:
    """What a message says."""
    return bytes(envelope.decode(payload)["body"]).decode()
