"""Killed anywhere: whoever dies between any two statements loses nothing, and does nothing twice that was acknowledged."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Queue
from kombu.connection import Connection

from hotplate.tasks.embedded import envelope, messages, url
from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.messages import Count, Outgoing
from hotplate.tasks.embedded.sweep import sweep
from tests.tasks.embedded import children


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

    def check(_ended: bool) -> None:
        sweep(store)
        assert store.counts()["q"] == Count(1, oldest_age=store.counts()["q"].oldest_age)
        leave_one()

    put(store)
    leave_one()
    assert killed_at_every_step(store, lambda: None if sweep(store) >= 0 else None, check) > 3


@pytest.mark.process
def test_killed_at_random_nothing_is_lost(store: Store, tmp_path: Any) -> None:
    """Producers and consumers die all the time for some seconds; whatever was sent is done, at least once."""
    dice = random.Random(11)
    sent, done = tmp_path / "sent", tmp_path / "done"
    for log in (sent, done):
        log.touch()

    def note(log: Any, text: str) -> None:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)

    def produce() -> None:
        with Connection(url(store.path)) as connection:  # type: ignore[no-untyped-call]  # kombu has no types
            producer = connection.Producer()
            for number in range(100_000):
                name = f"{os.getpid()}-{number}"
                producer.publish(name, routing_key="q")
                note(sent, name)

    def consume() -> None:
        def work(text: str, message: Any) -> None:
            note(done, text)
            message.ack()

        with Connection(url(store.path)) as connection:  # type: ignore[no-untyped-call]  # kombu has no types
            consumer = connection.Consumer([Queue("q")], callbacks=[work], auto_declare=False)
            consumer.qos(prefetch_count=3)
            with consumer:
                while True:
                    connection.drain_events()

    put(store, b"")  # the queue exists
    with store.write() as writing:
        messages.purge(writing, "q")
    kinds = [produce, consume, consume]
    alive = {children.start(kind): kind for kind in kinds}
    until = time.monotonic() + 3
    while time.monotonic() < until:
        time.sleep(dice.uniform(0.02, 0.2))
        victim = dice.choice(list(alive))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        kind = alive.pop(victim)
        alive[children.start(kind)] = kind
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    sweep(store)
    left = {body(one.payload) for one in store.peek("q", 1_000_000)}
    finished = done.read_text().split()
    assert set(sent.read_text().split()) <= set(finished) | left
    assert len(finished) > 50
    assert {one.state for one in store.peek("q")} <= {"ready"}


def body(payload: bytes) -> str:
    """What a message says."""
    return str(envelope.decode(payload)["body"])

