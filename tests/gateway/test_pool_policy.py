"""What the adaptive pool promises, on a made-up worker with a made-up clock."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.pool_policy import QUIET, TICK, WINDOW, Policy, Sample
from tests.support.pool_simulation import Simulation, Work


def fixed(threads: int) -> Policy:
    """Return a policy that always says `threads`."""

    class Fixed(Policy):
        def step(self, sample: Sample) -> int:
            return threads

    return Fixed(threads)


def test_views_that_only_compute_get_one_thread() -> None:
    """More threads would only hand the GIL round, however long the queue."""
    worker = Simulation(Policy(256), clients=64, work=lambda _n: Work(computes=0.001))
    worker.run(5.0)
    assert {size for _now, size in worker.sizes} == {1}


def test_views_that_wait_get_a_thread_each_within_a_second() -> None:
    """250 clients of a view that waits 20 ms are served at once, not in turn."""
    worker = Simulation(Policy(256), clients=250, work=lambda _n: Work(computes=0.00005, waits=0.02))
    worker.run_until(lambda: worker.size >= 250, at_most=1.0)


@pytest.mark.parametrize(
    ("computes", "waits"), [(0.001, 0.010), (0.002, 0.010), (0.0005, 0.050), (0.001, 0.001), (0.005, 0.100)]
)
def test_threads_follow_the_ratio_of_waiting_to_computing(computes: float, waits: float) -> None:
    """The pool answers at least 90 % of what the best fixed number of threads does, with at most 3 times 1 + W / C."""

    def work(_number: int) -> Work:
        return Work(computes=computes, waits=waits)

    best = max(Simulation(fixed(n), 400, work).run(2.0) for n in (1, 2, 4, 8, 16, 32, 64, 128, 256))
    worker = Simulation(Policy(256), 400, work)
    worker.run(3.0)
    assert worker.run(3.0) >= 0.9 * best
    assert worker.size <= 3 * (1 + waits / computes) + 2


def test_a_mixture_is_served_like_its_average() -> None:
    """One request in ten waits 50 ms: as many threads as they need, and nearly the throughput of the best number."""

    def work(number: int) -> Work:
        return Work(computes=0.0003, waits=0.05 if random.Random(number).random() < 0.1 else 0.0)

    best = max(Simulation(fixed(n), 250, work).run(2.0) for n in (8, 16, 32, 64, 128))
    worker = Simulation(Policy(256), 250, work)
    worker.run(3.0)
    assert worker.run(3.0) >= 0.85 * best


def test_a_request_that_waits_does_not_hold_up_the_next_one() -> None:
    """With one thread in a 10 s wait, a second request is taken within 3 looks."""
    worker = Simulation(Policy(256), clients=1, work=lambda _n: Work(waits=10.0))
    worker.run(TICK)
    worker.ask(1)
    worker.run_until(lambda: len(worker.busy) == 2, at_most=3 * TICK)


def test_a_request_that_computes_for_long_does_not_hold_up_the_next_one() -> None:
    """With one thread in a 10 s calculation, a second request is taken within a tenth of a second."""
    worker = Simulation(Policy(256), clients=1, work=lambda n: Work(computes=0.001 if n else 10.0))
    worker.run(0.05)
    worker.ask(1)
    worker.run_until(lambda: worker.finished >= 1, at_most=0.1)


def test_long_requests_among_short_ones_each_get_a_thread_of_their_own() -> None:
    """Short requests go on being answered while three long calculations run, each with a quarter of the GIL."""
    worker = Simulation(Policy(256), clients=32, work=lambda n: Work(computes=20.0 if n in {100, 200, 300} else 0.001))
    worker.run(3.0)
    assert worker.run(1.0) > 1000 / (3 * 5 + 1) / 1.5


def test_equal_views_are_no_stragglers() -> None:
    """Requests that all compute for 200 ms stay in turn: sharing the GIL would make each of them slower."""
    worker = Simulation(Policy(256), clients=64, work=lambda _n: Work(computes=0.2))
    worker.run(8.0)
    assert max(size for now, size in worker.sizes if now > 105) <= 2


def test_a_pool_grown_for_waiting_shrinks_when_views_only_compute() -> None:
    """256 threads that waited become few again, within 5 s, when there is nothing to wait for."""
    waits = True
    worker = Simulation(Policy(256), 250, lambda _n: Work(computes=0.00005, waits=0.02) if waits else Work(0.001))
    worker.run_until(lambda: worker.size >= 250, at_most=2.0)
    waits = False
    worker.run_until(lambda: worker.size == 1, at_most=5.0)


def test_a_busy_machine_is_not_taken_for_a_waiting_app() -> None:
    """Half a core is lent to a view that computes: standing in the run queue is no reason for more threads."""
    worker = Simulation(Policy(256), clients=64, work=lambda _n: Work(computes=0.001), share=0.5)
    worker.run(5.0)
    assert {size for _now, size in worker.sizes} == {1}


def test_native_code_gets_the_cores_the_worker_has() -> None:
    """A view that computes without the GIL gets a thread per core, and keeps them."""
    worker = Simulation(Policy(256, cores=4.0), clients=64, work=lambda _n: Work(native=0.02), cores=4.0)
    worker.run_until(lambda: worker.size >= 4, at_most=5.0)
    assert worker.run(5.0) > 0.85 * 4 / 0.02


def test_a_core_the_gil_does_not_let_use_is_seldom_asked_for() -> None:
    """With four cores, Python code still gets one thread nearly all the time."""
    worker = Simulation(Policy(256, cores=4.0), clients=64, work=lambda _n: Work(computes=0.001), cores=4.0)
    worker.run(60.0)
    looks = pairwise([*worker.sizes, (worker.now, 0)])
    assert sum(until - now for (now, size), (until, _next) in looks if size > 1) < 0.05 * 60.0


def test_idle_threads_end() -> None:
    """A burst's threads are gone after two windows without need of them."""
    worker = Simulation(Policy(256), clients=100, work=lambda _n: Work(computes=0.00005, waits=0.02))
    worker.run(2.0)
    assert worker.size >= 90
    worker.leave()
    worker.run_until(lambda: worker.size == 1, at_most=3 * WINDOW)


def test_nobody_needs_to_look_at_a_quiet_pool() -> None:
    """It is quiet a moment after the last request, and not before."""
    worker = Simulation(Policy(256), clients=1, work=lambda _n: Work(waits=0.02))
    worker.run(0.1)
    assert not worker.policy.is_quiet(worker.now)
    worker.leave()
    worker.run(QUIET + 0.1)
    assert worker.policy.is_quiet(worker.now)


samples = st.builds(
    Sample,
    now=st.floats(0, 1e6),
    elapsed=st.floats(0, 10),
    cpu=st.floats(0, 40),
    stood=st.floats(0, 20),
    clear=st.floats(0, 1),
    running=st.lists(st.floats(0, 100), max_size=300).map(tuple),
    finished=st.integers(0, 10**6),
    oldest=st.floats(0, 100),
)


@given(st.lists(samples, max_size=40), st.integers(1, 64), st.floats(0.5, 8))
def test_the_size_stays_within_its_bounds(seen: list[Sample], maximum: int, cores: float) -> None:
    """Whatever is seen, there is at least one thread and never more than allowed."""
    policy = Policy(maximum, cores)
    for sample in seen:
        assert 1 <= policy.step(sample) <= maximum
