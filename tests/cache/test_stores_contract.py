"""Every store keeps the promises that `hotplate.cache.stores.base` makes."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.cache.stores.base import SLOTS, Look, Store, Token
from tests.cache.contract import KINDS, LIMIT, SHARED, open_store
from tests.cache.hammer import SIZE, THINGS, Hammer, key, mapped
from tests.support.waiting import wait_until

KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    kind = KINDS[request.param]
    store = kind.open(kind.address(request, tmp_path))
    yield store
    store.close()


def clock(store: Store) -> Token:
    """Return the clock of a store that has one."""
    token = store.now()
    assert token is not None
    return token


def test_what_was_put_is_found_with_all_that_was_said_of_it(store: Store) -> None:
    """A value comes back with its token, its slots and its time to die."""
    token = clock(store)
    store.put(KEY, b"value", token, (3, 65535, 0), 60)
    look = store.look(KEY)
    assert (look.value, look.token, tuple(look.slots)) == (b"value", token, (3, 65535, 0))
    assert look.dies > 60


def test_a_look_in_vain_brings_the_token_for_what_is_computed_next(store: Store) -> None:
    """What is computed after a miss can be put with the token of the miss."""
    look = store.look(KEY)
    assert look.value is None
    assert look.token is not None
    store.put(KEY, b"", look.token, (), 60)
    assert store.look(KEY).value == b""


def test_a_later_value_takes_the_place_of_an_earlier_one(store: Store) -> None:
    """The last put wins."""
    for value in (b"one", b"two" * 5000, b"three"):
        store.put(KEY, value, clock(store), (1,), 60)
        assert store.look(KEY).value == value


def test_what_was_begun_before_an_invalidation_is_refused(store: Store) -> None:
    """A put whose slots were bumped since its token keeps nothing; other slots do not matter."""
    token = clock(store)
    store.bump([7, 9])
    store.put(KEY, b"old", token, (1, 9), 60)
    store.put(OTHER, b"other", token, (1, 8), 60)
    assert store.look(KEY).value is None
    assert store.look(OTHER).value == b"other"
    store.put(KEY, b"new", clock(store), (1, 9), 60)
    assert store.look(KEY).value == b"new"


def test_an_invalidation_takes_what_depends_on_it_and_nothing_else(store: Store) -> None:
    """Bumping a slot ends each value that names it, for `look` and for `valid`."""
    token = clock(store)
    for slot in range(20):
        store.put(bytes([slot]) * 32, b"%d" % slot, token, (slot, 1000), 60)
    store.bump([4])
    found = [slot for slot in range(20) if store.look(bytes([slot]) * 32).value is not None]
    assert found == [slot for slot in range(20) if slot != 4]
    assert store.valid(token, (3, 1000))
    assert not store.valid(token, (3, 4))
    store.bump([1000])
    assert all(store.look(bytes([slot]) * 32).value is None for slot in range(20))


def test_after_a_clearing_nothing_is_valid(store: Store) -> None:
    """Clearing ends values and tokens, with slots or without; afterwards the store works."""
    token = clock(store)
    store.put(KEY, b"old", token, (), 60)
    store.clear()
    assert store.look(KEY).value is None
    assert not store.valid(token, ())
    store.put(KEY, b"old", token, (), 60)
    assert store.look(KEY).value is None
    store.put(KEY, b"new", clock(store), (), 60)
    assert store.look(KEY).value == b"new"


def test_a_value_dies_in_time(store: Store) -> None:
    """After its seconds a value is not found; one without any is not kept."""
    store.put(KEY, b"short", clock(store), (), 0.05)
    store.put(OTHER, b"none", clock(store), (), 0)
    assert store.look(OTHER).value is None
    wait_until(lambda: store.look(KEY).value is None, what="the value has died")


def test_what_is_dropped_is_gone(store: Store) -> None:
    """Dropping forgets the keys named, and does not mind those that are not there."""
    store.put(KEY, b"one", clock(store), (), 60)
    store.put(OTHER, b"two", clock(store), (), 60)
    store.drop([KEY, b"\7" * 32])
    assert store.look(KEY).value is None
    assert store.look(OTHER).value == b"two"


def test_one_at_a_time_has_the_lease(store: Store) -> None:
    """A lease is given once, until it is given back or its time is over."""
    assert store.lease(KEY, 600)
    assert not store.lease(KEY, 600)
    assert store.lease(OTHER, 600)
    store.release(KEY)
    assert store.lease(KEY, 0.05)
    wait_until(lambda: store.lease(KEY, 600), what="the lease is over")


def test_releasing_what_one_does_not_have_is_no_harm(store: Store) -> None:
    """A second release does nothing."""
    store.release(KEY)
    store.release(KEY)
    assert store.lease(KEY, 600)


def test_who_asks_without_waiting_is_told_once(store: Store) -> None:
    """`look_soon` tells what `look` would, exactly once."""
    store.put(KEY, b"value", clock(store), (2,), 60)
    told: list[Look] = []
    store.look_soon(KEY, told.append)
    wait_until(lambda: told, what="it was told")
    store.look_soon(OTHER, told.append)
    wait_until(lambda: len(told) == 2, what="it was told again")
    assert [look.value for look in told] == [b"value", None]


def test_values_of_all_sizes_come_back_or_are_refused(store: Store) -> None:
    """A value comes back as it was or not at all; one larger than the store is no error."""
    for size in (0, 1, 2000, 4096, 70_000, 3_000_000, LIMIT + 1):
        value = random.Random(size).randbytes(min(size, 3_000_000)).ljust(size, b"x")
        store.put(KEY, value, clock(store), tuple(range(0, SLOTS, 900)), 60)
        assert store.look(KEY).value in ({value} if size < 1_000_000 else {value, None})
    assert store.state().is_up


def test_the_store_says_how_it_is_doing(store: Store) -> None:
    """The state has what is held, and the bound."""
    store.put(KEY, b"value" * 1000, clock(store), (), 60)
    state = store.state()
    assert state.is_up
    assert state.entries in {1, -1}
    assert state.used >= 5000 or state.used == -1
    assert state.faults == 0


def test_threads_at_once_are_told_nothing_old(store: Store) -> None:
    """Readers and changers in threads: a value served after an acknowledged invalidation is never older."""
    words = memoryview(bytearray(SIZE)).cast("Q")
    failures: list[BaseException] = []

    def run(number: int) -> None:
        hammer = Hammer(store, words, number, 4)
        try:
            for _ in range(400):
                hammer.strike()
        except BaseException as failure:  # noqa: BLE001 - shown by the thread that waits
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.process
@pytest.mark.parametrize("kind", SHARED)
def test_processes_that_are_killed_leave_nothing_wrong_behind(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Kill -9 in the middle of anything: no error, nothing old, nothing damaged, and no lease that is never free."""
    address, words = KINDS[kind].address(request, tmp_path), tmp_path / "words"
    mapped(words)
    of, rng = 3, random.Random(5)

    def start(number: int) -> "subprocess.Popen[bytes]":
        arguments = [sys.executable, "-m", "tests.cache.hammer", kind, address, str(words), str(number), str(of)]
        root = Path(__file__).parents[2]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root)

    running = [start(number) for number in range(of)]
    reader = Hammer(open_store(kind, address), mapped(words), 0, 1)
    try:
        for _ in range(12):
            number = rng.randrange(of)
            victim = running[number]
            assert victim.stdout is not None
            assert victim.stdout.readline() == b"striking\n", victim.communicate()[1].decode()
            # Where in its work the victim is cannot be chosen: it is somewhere else each time.
            for _ in range(rng.randrange(60)):
                reader.page(rng.randrange(THINGS))
            os.kill(victim.pid, signal.SIGKILL)
            assert victim.wait() == -signal.SIGKILL, victim.communicate()[1].decode()
            running[number] = start(number)
    finally:
        for process in running:
            process.kill()
        failures = [process.communicate()[1].decode() for process in running]
    assert "".join(failures) == ""
    for thing in range(THINGS):
        reader.change(thing)
        reader.page(thing)
        reader.page(thing)
    held = {key("page", thing) for thing in range(THINGS)}
    wait_until(
        lambda: not {each for each in held if not reader.store.lease(each, 0.001)}, what="no dead one has a lease"
    )
    assert reader.served
    assert reader.store.state().faults == 0
    reader.store.close()
