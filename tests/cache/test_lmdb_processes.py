"""The store of one machine is shared by processes that fork, are killed, or freeze in the middle of something."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotplate.cache.stores.lmdb import LmdbStore
from tests.cache.test_lmdb import MEGABYTE, ROOT, key, put
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store will be."""
    return tmp_path / "cache"


@pytest.fixture
def store(folder: Path) -> Iterator[LmdbStore]:
    """A store of the least size that is useful."""
    store = LmdbStore(folder, 4 * MEGABYTE)
    yield store
    store.close()


def in_child(work: Callable[[], bool]) -> bool:
    """Return whether `work` was true in a forked child, which ends without a word."""
    child = os.fork()
    if not child:
        answer = 3
        try:
            answer = 0 if work() else 2
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_parent_and_child_go_on_with_the_same_file(store: LmdbStore) -> None:
    """A store that was used before a fork is used after it by both, and both see what either puts."""
    put(store, 1)
    number = store.data

    def work() -> bool:
        put(store, 2, b"of the child")
        return store.look(key(1)).value == b"value" and not in_child(lambda: store.look(key(2)).value is None)

    for _ in range(5):
        assert in_child(work)
    assert store.look(key(2)).value == b"of the child"
    put(store, 3)
    assert store.look(key(3)).value == b"value"
    assert (store.data, store.state().faults) == (number, 0)


def test_a_fork_while_threads_look_disturbs_nobody(store: LmdbStore) -> None:
    """Threads that look and put while the process forks find what is there; so do the children."""
    for number in range(50):
        put(store, number)
    stop = threading.Event()
    wrong: list[object] = []

    def run() -> None:
        while not stop.is_set():
            for number in range(50):
                value = store.look(key(number)).value
                if value != b"value":
                    wrong.append(value)
                put(store, number)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        children = [
            in_child(lambda: all(store.look(key(number)).value == b"value" for number in range(50))) for _ in range(20)
        ]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(children)
    assert wrong == []
    assert store.state().faults == 0


LEADER = """
import sys
import os, signal
from tests.cache.test_lmdb import *
store = LmdbStore(Path(sys.argv[1]), 4 * MEGABYTE)
print(store.lease(key(1), 600), flush=True)
signal.pause()
"""


@pytest.mark.process
def test_the_lease_of_a_killed_process_is_free_at_once(store: LmdbStore, folder: Path) -> None:
    """A lease holds while its holder lives, and not a moment longer."""
    with subprocess.Popen([sys.executable, "-c", LEADER, folder], cwd=ROOT, stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"True\n"
        assert not store.lease(key(1), 600)
        os.kill(leader.pid, signal.SIGKILL)
        leader.wait()
    assert store.lease(key(1), 600)


def test_one_cannot_give_back_a_lease_that_was_taken_over(store: LmdbStore) -> None:
    """A late release by a former holder leaves the lease with its successor."""
    assert store.lease(key(1), 0)
    assert in_child(lambda: store.lease(key(1), 0))
    assert store.lease(key(1), 600)

    def release() -> bool:
        store.release(key(1))
        return True

    assert in_child(release)
    assert not store.lease(key(1), 600)


ABORTER = """
import sys
import os, signal
from tests.cache.test_lmdb import *
store = LmdbStore(Path(sys.argv[1]), 4 * MEGABYTE)
store._change(lambda txn, file: os.abort())
"""


@pytest.mark.process
def test_a_file_that_kills_who_writes_to_it_is_left_behind(store: LmdbStore, folder: Path) -> None:
    """When one process after the other dies in the middle of a change, the next one goes on in a new file."""
    put(store, 1)
    number = store.data
    for _ in range(2):
        subprocess.run([sys.executable, "-c", ABORTER, folder], cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
        assert store.data == number
    put(store, 2)
    put(store, 3)
    assert store.data != number
    assert store.look(key(3)).value == b"value"


FROZEN = """
import sys
import os, signal
from tests.cache.test_lmdb import *
store = LmdbStore(Path(sys.argv[1]), 4 * MEGABYTE)
def wait(txn, file):
    print("inside", flush=True)
    signal.pause()
store._change(wait)
"""


@pytest.mark.process
def test_a_process_that_is_frozen_in_a_change_stops_nobody_for_long(store: LmdbStore, folder: Path) -> None:
    """Whoever cannot write because of it goes on in a new file, and so do all others."""
    put(store, 1)
    with subprocess.Popen([sys.executable, "-c", FROZEN, folder], cwd=ROOT, stdout=subprocess.PIPE) as frozen:
        assert frozen.stdout is not None
        frozen.stdout.readline()
        try:
            number = store.data
            put(store, 2)
            assert store.data != number
            put(store, 3)
            assert store.look(key(3)).value == b"value"
            assert store.lease(key(3), 60)
        finally:
            frozen.kill()


def test_one_death_in_a_change_costs_nothing(store: LmdbStore, folder: Path) -> None:
    """A writer that is killed once leaves everything as it was before its change."""
    put(store, 1)
    number = store.data
    for _ in range(3):
        subprocess.run([sys.executable, "-c", ABORTER, folder], cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
        put(store, 2)
    assert store.data == number
    assert store.look(key(1)).value == b"value"
    assert store.look(key(2)).value == b"value"


def test_a_data_file_renewed_by_another_process_is_followed(store: LmdbStore) -> None:
    """When somebody finds the file damaged, everybody goes on in the new one."""
    put(store, 1)

    def renew() -> bool:
        store.renew_data(store.data)
        return True

    assert in_child(renew)
    wait_until(lambda: store.look(key(1)).value is None, what="the old file is left")
    put(store, 1)
    assert in_child(lambda: store.look(key(1)).value == b"value")
