"""Who is alive, by locks that the kernel drops."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hotplate.tasks.embedded.file import Store
from hotplate.tasks.embedded.owners import owners_of
from tests.tasks.embedded import children


@pytest.fixture
def folder(path: Path) -> Path:
    """The file's folder, made."""
    path.parent.mkdir()
    return path


def test_an_owner_lives_as_long_as_its_process(folder: Path) -> None:
    """A child's lock is seen while it lives, and gone when it is killed."""
    ready, written = os.pipe()
    held, release = os.pipe()

    def hold() -> None:
        owners_of(folder).hold(7)
        os.write(written, b"x")
        os.read(held, 1)
        children.die()

    child = children.start(hold)
    os.read(ready, 1)
    assert owners_of(folder).is_alive(7)
    os.write(release, b"x")
    os.waitpid(child, 0)
    assert not owners_of(folder).is_alive(7)


def test_a_child_has_none_of_its_parents_locks_and_takes_none_away(folder: Path) -> None:
    """Forking, looking, holding one's own and exiting leave the parent's lock where it was."""
    owners_of(folder).hold(1)

    def look() -> None:
        assert owners_of(folder).is_alive(1)
        owners_of(folder).hold(2)
        assert owners_of(folder).is_alive(2)

    assert children.run(look) == 0
    assert children.run(lambda: None if owners_of(folder).is_alive(1) else os._exit(3)) == 0
    assert not owners_of(folder).is_alive(2)


def test_asking_about_oneself_gives_nothing_up(folder: Path) -> None:
    """A process that asks whether it lives itself still holds its lock for others to see."""
    owners_of(folder).hold(1)
    assert owners_of(folder).is_alive(1)
    assert children.run(lambda: None if owners_of(folder).is_alive(1) else os._exit(3)) == 0


def test_whatever_the_path_a_file_has_one_descriptor(folder: Path, tmp_path: Path) -> None:
    """A second descriptor, closed, would drop the locks of the first: the same file by another path shares it."""
    owners = owners_of(folder)
    link = tmp_path / "link"
    link.symlink_to(folder.parent)
    assert owners_of(link / folder.name) is owners


def test_nobody_is_given_the_number_of_a_dead_process(store: Store) -> None:
    """Owners' numbers only grow."""

    def own() -> None:
        with store.write() as writing:
            store.owner(writing)

    numbers = []
    for _ in range(3):
        assert children.run(own) == 0
        with store.read() as reading:
            numbers.append(reading.execute("SELECT max(id) FROM owners").fetchone()[0])
        with store.write() as writing:
            writing.execute("DELETE FROM owners")
    assert numbers == [1, 2, 3]


def test_an_owner_that_was_not_committed_holds_nothing(store: Store) -> None:
    """A transaction that fails gives the number's lock up, too, and the next one gets a number of its own."""
    with suppress(ZeroDivisionError), store.write() as writing:
        owner = store.owner(writing)
        raise ZeroDivisionError
    assert not owners_of(store.path).is_alive(owner)
    with store.write() as writing:
        assert owners_of(store.path).is_alive(store.owner(writing))


def test_one_at_a_time_writes(folder: Path) -> None:
    """Whoever waits for the turn gets it when the other one ends it, or dies; threads of one process wait, too."""
    ready, written = os.pipe()

    def hold() -> None:
        assert owners_of(folder).take_turn(time.monotonic() + 10)
        os.write(written, b"x")
        signal.pause()

    child = children.start(hold)
    os.read(ready, 1)
    assert not owners_of(folder).take_turn(time.monotonic())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert owners_of(folder).take_turn(time.monotonic() + 10)
    refused: list[bool] = []
    thread = threading.Thread(target=lambda: refused.append(owners_of(folder).take_turn(time.monotonic())))
    thread.start()
    thread.join()
    assert refused == [False]
    owners_of(folder).end_turn()
    owners_of(folder).end_turn()  # whose turn it is not ends nothing
    assert children.run(lambda: None if owners_of(folder).take_turn(time.monotonic()) else os._exit(3)) == 0
