"""Of all that ask for one key at once, one computes: in all threads and processes, whoever dies on the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hotplate.cache import waiting
from hotplate.cache.flight import LEASE, Do, Flights, Lead, Nothing, Wait
from hotplate.cache.stores.base import Look
from hotplate.cache.stores.local import LocalStore
from tests.cache.shared_machine import KEY, FakeStore, Machine
from tests.support.waiting import wait_until


def anything(look: Look) -> bool:
    """Take whatever is there."""
    return look.value is not None


def joined(flights: Flights) -> Lead:
    """Join as the leader."""
    lead = flights.join(KEY)
    assert isinstance(lead, Lead)
    return lead


def test_one_leads_and_others_are_told() -> None:
    """The first leads; all others hear what it ends with, each once, however late they ask."""
    flights = Flights(LocalStore(10_000), 10)
    lead = joined(flights)
    waits = [flights.join(KEY) for _ in range(3)]
    heard: list[object] = []
    for wait in waits[:2]:
        assert isinstance(wait, Wait)
        wait.add(heard.append)
    lead.end("outcome")
    lead.end("another")
    late = waits[2]
    assert isinstance(late, Wait)
    late.add(heard.append)
    assert heard == ["outcome"] * 3
    assert flights.waiting == 3
    for wait in waits:
        assert isinstance(wait, Wait)
        wait.leave()
        wait.leave()
    assert flights.waiting == 0
    assert isinstance(flights.join(KEY), Lead)


def test_waiters_are_bounded() -> None:
    """Beyond the bound nobody waits; a place that is left is free again."""
    flights = Flights(LocalStore(10_000), 1)
    lead = joined(flights)
    wait = flights.join(KEY)
    assert isinstance(wait, Wait)
    assert flights.join(KEY) is None
    assert isinstance(flights.join(b"x" * 32), Lead)
    wait.leave()
    assert isinstance(flights.join(KEY), Wait)
    lead.end()


def test_who_has_left_hears_nothing() -> None:
    """Whoever gave up is not called any more."""
    flights = Flights(LocalStore(10_000), 10)
    lead = joined(flights)
    wait = flights.join(KEY)
    assert isinstance(wait, Wait)
    heard: list[object] = []
    wait.add(heard.append)
    wait.leave()
    lead.end("outcome")
    assert heard == []


def test_what_was_put_meanwhile_is_taken() -> None:
    """Between a look and the lead another process may have put the value: it is not computed again."""
    machine = Machine()
    flights = Flights(FakeStore(machine), 10, lambda: machine.now)
    lead = joined(flights)
    machine.values[KEY] = b"value"
    assert lead.step(anything).do is Do.TAKE
    lead.end()
    assert machine.leases == {}


def test_a_stale_value_is_computed_with_a_new_token() -> None:
    """What is there but will not do does not lend its token to what takes its place."""
    store = LocalStore(10_000)
    store.put(KEY, b"old", store.now(), (), 60)
    store.bump([9])
    lead = joined(Flights(store, 10))
    step = lead.step(lambda _: False)
    assert step.do is Do.COMPUTE
    assert step.look == Look(None, store.now())
    lead.end()


def test_polling_slows_down_and_ends() -> None:
    """While another process computes, looks come every 2 ms at first and every 50 ms later, up to the bound."""
    machine = Machine()
    theirs, ours = (Flights(FakeStore(machine), 10, lambda: machine.now) for _ in range(2))
    assert joined(theirs).step(anything).do is Do.COMPUTE
    lead = joined(ours)
    pauses = []
    while (step := lead.step(anything, 5.0)).do is Do.PAUSE:
        pauses.append(step.pause)
        machine.now += step.pause
    assert step.do is Do.COMPUTE
    assert (pauses[0], pauses[-1]) == (0.002, 0.05)
    assert sum(pauses[:-1]) <= 5.0 <= sum(pauses)
    lead.end()
    assert KEY in machine.leases  # which was never ours


def test_a_dead_leaders_lease_is_taken_over() -> None:
    """When its time is over, where the store cannot tell that its holder is dead, another process computes."""
    machine = Machine()
    theirs, ours = (Flights(FakeStore(machine), 10, lambda: machine.now) for _ in range(2))
    joined(theirs).step(anything)
    lead = joined(ours)
    assert lead.step(anything, 100.0).do is Do.PAUSE
    machine.now += LEASE + 0.1
    assert lead.step(anything, 100.0).do is Do.COMPUTE
    lead.end()


def test_nobody_waits_for_a_store_that_is_gone() -> None:
    """Where the store cannot be reached no result would be found, so everybody computes at once."""
    machine = Machine()
    theirs, ours = (Flights(FakeStore(machine), 10, lambda: machine.now) for _ in range(2))
    joined(theirs).step(anything)
    machine.is_gone = True
    step = joined(ours).step(anything)
    assert step.do is Do.COMPUTE
    assert step.look is not None
    assert step.look.token is None


class Protocol(RuleBasedStateMachine):
    """Three processes ask for one key in any order, while leaders compute, are cancelled, or die with their process."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine()
        self.processes = [self.process() for _ in range(3)]
        self.leading: dict[int, Lead] = {}
        self.computing: dict[int, float] = {}  # since when; for ever, of those who would not wait longer
        self.waiting: list[tuple[int, Wait, list[object]]] = []
        self.made = 0

    def process(self) -> Flights:
        """Start a process."""
        return Flights(FakeStore(self.machine), 4, lambda: self.machine.now)

    @rule(number=st.integers(0, 2))
    def ask(self, number: int) -> None:
        """Somebody asks in a process."""
        place = self.processes[number].join(KEY)
        if isinstance(place, Lead):
            assert number not in self.leading
            self.leading[number] = place
        elif isinstance(place, Wait):
            assert number in self.leading
            heard: list[object] = []
            place.add(heard.append)
            self.waiting.append((number, place, heard))
        else:
            assert self.processes[number].waiting == 4

    @precondition(lambda self: bool(set(self.leading) - set(self.computing)))
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """A leader finds out what to do."""
        number = data.draw(st.sampled_from(sorted(set(self.leading) - set(self.computing))))
        lead = self.leading[number]
        is_late = self.machine.now - lead._since >= 5.0
        step = lead.step(anything)
        if step.do is Do.TAKE:
            self.end(number, "taken")
        elif step.do is Do.COMPUTE:
            # Nobody else computes, but who waited long enough before, or has computed for as long.
            assert is_late or all(self.machine.now - since >= 5.0 for since in self.computing.values())
            self.computing[number] = float("-inf") if is_late else self.machine.now
        else:
            assert not is_late

    @precondition(lambda self: self.computing)
    @rule(data=st.data(), is_kept=st.booleans())
    def finish(self, data: st.DataObject, is_kept: bool) -> None:
        """A computation ends, and its result is kept or cannot be."""
        number = data.draw(st.sampled_from(sorted(self.computing)))
        if is_kept:
            self.machine.values[KEY] = b"value"
        self.made += 1
        self.end(number, f"made {self.made}")

    @precondition(lambda self: self.leading)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A leader is cancelled."""
        self.end(data.draw(st.sampled_from(sorted(self.leading))), Nothing.ENDED)

    @precondition(lambda self: self.leading)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """A process is killed and another takes its place."""
        number = data.draw(st.sampled_from(sorted(self.leading)))
        self.processes[number] = self.process()
        del self.leading[number]
        self.computing.pop(number, None)
        self.waiting = [each for each in self.waiting if each[0] != number]

    @rule(seconds=st.sampled_from([0.01, 1.0, 4.0, 6.0]))
    def tick(self, seconds: float) -> None:
        """Time goes by."""
        self.machine.now += seconds

    @rule()
    def expire(self) -> None:
        """The value is gone."""
        self.machine.values.clear()

    def end(self, number: int, outcome: object) -> None:
        """End a flight; all who waited have heard."""
        self.leading.pop(number).end(outcome)
        self.computing.pop(number, None)
        for place, wait, heard in [each for each in self.waiting if each[0] == number]:
            assert heard == [outcome]
            wait.leave()
            self.waiting.remove((place, wait, heard))

    @invariant()
    def nothing_is_left(self) -> None:
        """Who waits has a leader, who has heard has been told once, and a lease has a living holder or an end."""
        for number, flights in enumerate(self.processes):
            assert bool(flights.leads) == (number in self.leading)
            assert flights.waiting == sum(each[0] == number for each in self.waiting)
        assert all(not heard for _, _, heard in self.waiting)
        holder, until = self.machine.leases.get(KEY, (None, 0.0))
        alive = [self.processes[number].store for number in self.leading]
        assert holder is None or any(holder is store for store in alive) or until <= self.machine.now + LEASE


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """Return what each of `count` threads has got."""
    got: list[object] = []
    threads = [threading.Thread(target=lambda number=number: got.append(work(number))) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_threads_and_loops_wait_for_one() -> None:
    """Threads wait with an event and coroutines with a future, for whoever leads."""
    flights = Flights(LocalStore(10_000), 100)
    lead = joined(flights)

    async def many() -> list[object]:
        async def one() -> object:
            wait = flights.join(KEY)
            assert isinstance(wait, Wait)
            return await waiting.outcome_soon(wait, 60)

        return await asyncio.gather(*(one() for _ in range(10)))

    def work(number: int) -> object:
        if number:
            wait = flights.join(KEY)
            assert isinstance(wait, Wait)
            return waiting.outcome(wait, 60)
        return asyncio.run(many())

    def end_when_all_wait() -> None:
        wait_until(lambda: flights.waiting == 14, what="all wait")
        lead.end("outcome")

    ender = threading.Thread(target=end_when_all_wait)
    ender.start()
    got: list[Any] = in_threads(5, work)
    ender.join()
    assert sorted(got, key=str) == sorted(["outcome"] * 4 + [["outcome"] * 10], key=str)
    assert flights.waiting == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_waiting_is_bounded(is_async: bool) -> None:
    """Who has waited long enough goes on alone."""
    flights = Flights(LocalStore(10_000), 10)
    joined(flights)
    wait = flights.join(KEY)
    assert isinstance(wait, Wait)
    said = asyncio.run(waiting.outcome_soon(wait, 0.001)) if is_async else waiting.outcome(wait, 0.001)
    assert said is Nothing.TIMED_OUT
    assert flights.waiting == 0
