"""The pool runs what it is given, in order, in as many threads as it may have; policy is tested without threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import perf_counter

import pytest

from hotplate.gateway import executor
from hotplate.gateway.executor import Pool
from hotplate.gateway.pool_policy import Policy, Sample
from hotplate.gateway.poolthread import here
from hotplate.settings import Settings
from tests.support.waiting import wait_until

PATIENCE = 30.0


class Gate:
    """A call that says when it has begun and stays until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        """Wait at the gate."""
        self.begun.set()
        self.open.wait(PATIENCE)
        self.ended.set()


MakePool = Callable[..., Pool]


@pytest.fixture
def pools() -> Iterator[MakePool]:
    """Make pools that are stopped after the test."""
    made: list[Pool] = []

    def make(**settings: object) -> Pool:
        made.append(Pool(Settings(**settings)))  # type: ignore[arg-type]  # the settings table checks them
        return made[-1]

    yield make
    for pool in made:
        pool.stop()


def answer_of(pool: Pool, call: Callable[[], object] = lambda: None) -> object:
    """Return what `call` returns in a thread of the pool."""
    answers: SimpleQueue[object] = SimpleQueue()
    pool.submit(lambda: answers.put(call()))
    return answers.get(timeout=PATIENCE)


def test_nothing_is_started_before_the_first_call(pools: MakePool) -> None:
    """A pool may be made before a fork."""
    before = threading.active_count()
    pool = pools(threads=8)
    assert (pool.threads, threading.active_count()) == (0, before)
    assert answer_of(pool, threading.get_ident) != threading.get_ident()
    assert pool.threads == 8


def test_calls_start_in_the_order_they_came(pools: MakePool) -> None:
    """One thread answers first come, first served."""
    pool, order = pools(threads=1), []
    for number in range(100):
        pool.submit(lambda number=number: order.append(number))  # type: ignore[misc]  # lambda defaults have no type
    answer_of(pool)
    assert order == list(range(100))


def test_many_submitters_lose_nothing(pools: MakePool) -> None:
    """Calls from several threads at once are all run, each once."""
    pool, done = pools(threads=3), SimpleQueue[int]()

    def submit(first: int) -> None:
        for number in range(first, first + 500):
            pool.submit(lambda number=number: done.put(number))  # type: ignore[misc]  # lambda defaults have no type

    submitters = [threading.Thread(target=submit, args=(first,)) for first in (0, 500, 1000, 1500)]
    for submitter in submitters:
        submitter.start()
    assert sorted(done.get(timeout=PATIENCE) for _ in range(2000)) == list(range(2000))
    wait_until(lambda: pool.finished == 2000)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_call_that_fails_costs_no_thread(
    pools: MakePool, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Its exception is logged, and the same thread goes on."""
    pool = pools(threads=1)
    ident = answer_of(pool, threading.get_ident)

    def fail() -> None:
        raise error

    pool.submit(fail)
    assert answer_of(pool, threading.get_ident) == ident
    assert "A call in the thread pool failed" in caplog.text


def test_what_a_call_held_is_let_go_when_it_ends(pools: MakePool) -> None:
    """An idle thread does not keep the last request alive."""
    pool, gone = pools(threads=1), threading.Event()

    class Held:
        def __del__(self) -> None:
            gone.set()

    def submit() -> None:
        held = Held()
        pool.submit(lambda: id(held))

    submit()
    assert gone.wait(PATIENCE)


def test_queue_and_its_age_are_seen(pools: MakePool) -> None:
    """What waits for a thread is counted, and the oldest of it is timed."""
    pool, gate = pools(threads=1), Gate()
    assert pool.oldest() == 0.0
    pool.submit(gate)
    assert gate.begun.wait(PATIENCE)
    before = perf_counter()
    pool.submit(lambda: None)
    pool.submit(lambda: None)
    assert pool.queued == 2
    assert pool.busy == 1
    assert 0.0 <= pool.oldest() <= perf_counter() - before
    gate.open.set()
    wait_until(lambda: pool.queued == 0)


def test_a_thread_knows_how_long_its_call_was_queued(pools: MakePool) -> None:
    """The time in the queue is told to the call itself."""
    pool, gate = pools(threads=1), Gate()
    pool.submit(gate)
    assert gate.begun.wait(PATIENCE)
    delays: SimpleQueue[float] = SimpleQueue()
    before = perf_counter()
    pool.submit(lambda: delays.put(here.thread.delay))
    submitted = perf_counter()
    wait_until(lambda: perf_counter() > submitted + 0.01)
    gate.open.set()
    assert 0.01 <= delays.get(timeout=PATIENCE) <= perf_counter() - before


def test_a_fixed_number_of_threads_stays(pools: MakePool) -> None:
    """`--threads 2` means two, however many calls wait."""
    pool, gates = pools(threads=2), [Gate() for _ in range(4)]
    for gate in gates:
        pool.submit(gate)
    assert all(gate.begun.wait(PATIENCE) for gate in gates[:2])
    assert not gates[2].begun.wait(0.1)
    assert pool.threads == 2
    for gate in gates:
        gate.open.set()


def test_the_pool_grows_while_every_thread_waits(pools: MakePool) -> None:
    """A request that waits does not hold up others: as many threads come as are needed, up to the bound."""
    pool, gates = pools(threads="auto", max_threads=12), [Gate() for _ in range(14)]
    for gate in gates:
        pool.submit(gate)
    assert all(gate.begun.wait(PATIENCE) for gate in gates[:12])
    assert not gates[12].begun.wait(0.1)
    assert pool.threads == 12
    for gate in gates:
        gate.open.set()
    assert gates[13].ended.wait(PATIENCE)


def test_a_quiet_pool_wakes_for_the_next_crowd(pools: MakePool) -> None:
    """Growing works again after the controller has gone to sleep."""
    pool = pools(threads="auto", max_threads=8)
    for _ in range(2):
        gates = [Gate() for _ in range(6)]
        for gate in gates:
            pool.submit(gate)
        assert all(gate.begun.wait(PATIENCE) for gate in gates)
        for gate in gates:
            gate.open.set()
        wait_until(lambda: pool._must_wake)


def test_a_pool_at_work_is_looked_at(pools: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller keeps ticking while a call runs, though nothing is queued, and again after it has slept."""
    looks: list[int] = []
    step = Policy.step

    def noted(policy: Policy, sample: Sample) -> int:
        looks.append(len(sample.running))
        return step(policy, sample)

    monkeypatch.setattr(Policy, "step", noted)
    pool = pools(threads="auto")
    for _ in range(2):
        gate = Gate()
        pool.submit(gate)
        assert gate.begun.wait(PATIENCE)
        looks.clear()
        wait_until(lambda: looks.count(1) >= 5)
        gate.open.set()
        wait_until(lambda: pool._must_wake)


def test_a_smaller_pool_loses_only_idle_threads(pools: MakePool) -> None:
    """A call that is running when the pool shrinks is finished first."""
    pool, gate = pools(threads=4), Gate()
    pool.submit(gate)
    assert gate.begun.wait(PATIENCE)
    pool.resize(1)
    wait_until(lambda: pool.threads == 1)
    assert not gate.ended.is_set()
    gate.open.set()
    assert gate.ended.wait(PATIENCE)
    answer_of(pool)
    wait_until(lambda: pool.threads == 1)


def test_a_detached_thread_leaves_its_place_to_another(pools: MakePool) -> None:
    """A long stream keeps its thread, and the pool its size."""
    pool, gate = pools(threads=1), Gate()
    detached: SimpleQueue[tuple[bool, bool]] = SimpleQueue()

    def stream() -> None:
        detached.put((pool.detach(), pool.detach()))
        gate()

    pool.submit(stream)
    assert detached.get(timeout=PATIENCE) == (True, False), "a thread can only leave once"
    assert answer_of(pool, lambda: "served") == "served"
    assert (pool.threads, pool.detached) == (1, 1)
    gate.open.set()
    wait_until(lambda: pool.detached == 0)
    assert pool.threads == 1


def test_only_so_many_threads_may_be_detached(pools: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a stream keeps a thread of the pool."""
    monkeypatch.setattr(executor, "MOST_DETACHED", 1)
    pool, gate = pools(threads=1), Gate()

    def stream() -> None:
        pool.detach()
        gate()

    pool.submit(stream)
    assert gate.begun.wait(PATIENCE)
    assert answer_of(pool, pool.detach) is False
    gate.open.set()


def test_only_a_thread_of_the_pool_can_be_detached(pools: MakePool) -> None:
    """Called from anywhere else it does nothing."""
    pool, other = pools(threads=1), pools(threads=1)
    assert pool.detach() is False
    assert answer_of(other, pool.detach) is False


def test_stopping_finishes_what_is_queued(pools: MakePool) -> None:
    """Calls that were submitted are run before the threads end."""
    pool, done = pools(threads=2), []
    for number in range(50):
        pool.submit(lambda number=number: done.append(number))  # type: ignore[misc]  # lambda defaults have no type
    pool.stop(grace=PATIENCE)
    assert sorted(done) == list(range(50))
    assert pool.threads == 0


def test_stopping_does_not_wait_longer_than_it_may(pools: MakePool) -> None:
    """A call that does not end is left behind."""
    pool, gate = pools(threads=1), Gate()
    pool.submit(gate)
    assert gate.begun.wait(PATIENCE)
    pool.stop(grace=0.01)
    assert not gate.ended.is_set()
    gate.open.set()


def test_a_system_out_of_threads_is_served_with_those_there_are(
    pools: MakePool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that cannot be started is no error while there is another."""
    pool, start = pools(threads=1), threading.Thread.start
    answer_of(pool)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool.resize(5)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert "refuses a thread" in caplog.text
    assert answer_of(pool, lambda: "served") == "served"
    assert pool.threads == 1
