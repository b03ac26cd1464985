"""The clock of invalidation: no order of events, no death and no damage ever makes something old valid."""

import fcntl
import itertools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path

import pytest

from hotplate.cache.stores import versions
from hotplate.cache.stores.base import SLOTS, Token
from hotplate.cache.stores.versions import Versions, writes

EPOCH, SEQ, FIRST = 1, 2, 8
A, B = 0, 1  # the slots of a fragment, and of the page that is composed of it

Plan = Callable[[int, Collection[int]], Iterator[tuple[int, int]]]


class World:
    """What writers and readers share: the clock's words, the thing itself, and what was acknowledged.

    Every method that is a generator stops before each single word that it reads or writes.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.words = [0, 99, 0, 0, 0, 0, 0, 0, 0, 0]
        self.truth = self.told = 0
        self.fragment = (0, Token(99, 0))
        self.page: tuple[int, Token] | None = None
        self.served_old = False

    def write(self, die_after: int, slots: tuple[int, ...]) -> Iterator[None]:
        """Change the thing and bump, and die after some words; then do it again and live to acknowledge it."""
        for words in (die_after, None):
            self.truth += 1
            version = self.truth
            yield
            plan = list(self.plan(self.words[SEQ], slots))
            for index, value in plan[:words]:
                self.words[index] = value
                yield
            if words is None or words >= len(plan):
                self.told = version
                yield
            else:
                # What `heal` does, once the dead one's lock is free.
                self.words[SEQ] = max(self.words[SEQ:])
                yield

    def valid(self, token: Token, slots: tuple[int, ...]) -> Generator[None, None, bool]:
        """Ask as `Versions.valid` does, a word at a time; returns the answer."""
        yield
        if self.words[EPOCH] != token.epoch:
            return False
        for slot in slots:
            yield
            if self.words[FIRST + slot] > token.seq:
                return False
        return True

    def read(self) -> Iterator[None]:
        """Take a token, compose a page of the fragment or of the thing itself, and keep both."""
        yield
        epoch = self.words[EPOCH]
        yield
        token = Token(epoch, self.words[SEQ])
        least = self.told
        version, made = self.fragment
        if (yield from self.valid(made, (A,))):
            self.served_old |= version < least
        else:
            yield
            version = self.truth
            yield
            self.fragment = (version, token)
        if (yield from self.valid(token, (B, A))):
            self.page = (version, token)

    def is_wrong(self) -> bool:
        """Whether something that was or would be served is older than what was acknowledged."""
        kept: list[tuple[int, Token, tuple[int, ...]]] = [(*self.fragment, (A,))]
        if self.page is not None:
            kept.append((*self.page, (B, A)))
        old = any(
            version < self.told and all(self.words[FIRST + slot] <= token.seq for slot in slots)
            for version, token, slots in kept
        )
        return old or self.served_old


def outcomes(plan: Plan) -> Iterator[bool]:
    """Say of each interleaving of one reader and two writers, of whom the first dies, whether something is wrong."""
    for die_after, slots in itertools.product(range(4), ((A,), (A, B), (B, A))):
        length = sum(1 for _ in World(plan).write(die_after, slots)) + 1
        for turns in itertools.combinations(range(length + 9), 9):
            world = World(plan)
            writer, reader = world.write(die_after, slots), world.read()
            for turn in range(length + 9):
                next(reader if turn in turns else writer, None)
            for _ in itertools.chain(reader, writer):
                pass
            yield world.is_wrong()


def test_no_interleaving_and_no_death_makes_something_old_valid() -> None:
    """Every order of a reader's and two writers' words, the first writer killed after any of its own, ends well."""
    assert not any(outcomes(writes))


def test_with_seq_written_first_something_old_would_become_valid() -> None:
    """The explorer finds what is wrong with the other order: it would have found it in ours."""

    def seq_first(seq: int, slots: Collection[int]) -> Iterator[tuple[int, int]]:
        return reversed(list(writes(seq, slots)))

    assert any(outcomes(seq_first))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a clock will be."""
    return tmp_path / "cache"


class Ticks:
    """A clock that goes on by some seconds each time it is asked."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 100.0
        self.step = step

    def __call__(self) -> float:
        """Return the seconds."""
        self.now += self.step
        return self.now


def token_of(clock: Versions) -> Token:
    """Return the clock's state, which is known."""
    token = clock.now()
    assert token is not None
    return token


def test_all_who_open_a_folder_share_its_clock(folder: Path) -> None:
    """A bump is seen by everybody who has the folder open as soon as it returns."""
    one, other = Versions(folder), Versions(folder)
    token = token_of(one)
    assert token == other.now()
    other.bump([3, SLOTS - 1])
    assert not one.valid(token, [3])
    assert not one.valid(token, [5, SLOTS - 1])
    assert one.valid(token, [4])
    assert one.now() == Token(token.epoch, token.seq + 1)


def test_a_forked_child_shares_it_too(folder: Path) -> None:
    """What a child bumps is invalid in its parent, and the lock is not shared with the parent by mistake."""
    clock = Versions(folder)
    token = token_of(clock)
    child = os.fork()
    if not child:
        clock.bump([9])
        os._exit(0)
    os.waitpid(child, 0)
    assert not clock.valid(token, [9])


def test_the_files_are_for_their_owner_only(folder: Path) -> None:
    """The folder has mode 0700 and the files 0600, whatever the umask."""
    old = os.umask(0)
    try:
        Versions(folder)
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: _cut(path, 0),
    "header cut off": lambda path: _cut(path, 20),
    "slots cut off": lambda path: _cut(path, 4096),
    "too long": lambda path: _cut(path, 1_000_000),
    "zeros": lambda path: _overwrite(path, 0, bytes(64)),
    "another magic": lambda path: _overwrite(path, 0, b"\2"),
    "another start of the machine": lambda path: _overwrite(path, 32, b"\1" * 8),
    "a seq no machine counts to": lambda path: _overwrite(path, 16, b"\xff" * 8),
    "a slot ahead of seq": lambda path: _overwrite(path, 64 + 8 * 77, b"\x50"),
    "noise": lambda path: _overwrite(path, 0, os.urandom(versions._SIZE)),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_replaced_and_everybody_goes_on_in_the_new_one(folder: Path, damage: str) -> None:
    """Who opens a damaged file makes a new one, in which nothing old is valid; who has it open notices."""
    ticks = Ticks()
    before = Versions(folder, ticks=ticks)
    token = token_of(before)
    # Where it is cut off, `before` must not touch what is missing until `after` has given it back.
    DAMAGES[damage](folder / "versions")
    after = Versions(folder, ticks=ticks)
    ticks.now += 2
    assert not before.valid(token, [])
    assert not after.valid(token, [])
    assert before.now() == after.now()
    new = token_of(after)
    before.bump([8])
    assert not after.valid(new, [8])
    assert after.fault == ""


def test_a_deleted_folder_is_noticed_by_who_has_it_open(folder: Path) -> None:
    """After `rm -r` nothing that was valid stays so, and who has it open meets those who come later."""
    ticks = Ticks()
    clock = Versions(folder, ticks=ticks)
    token = token_of(clock)
    shutil.rmtree(folder)
    ticks.now += 2
    assert not clock.valid(token, [])
    assert clock.now() == Versions(folder).now()


def test_a_bump_after_the_folder_was_deleted_reaches_everybody(folder: Path) -> None:
    """Even before anybody has noticed, a bump that returns holds for all who share the old file."""
    ticks = Ticks()
    one, other = Versions(folder, ticks=ticks), Versions(folder, ticks=ticks)
    token = token_of(one)
    shutil.rmtree(folder)
    one.bump([5])
    assert not other.valid(token, [5])
    assert one.now() == other.now()


def test_a_bump_does_not_wait_for_a_frozen_process(folder: Path) -> None:
    """Where the lock cannot be had everything becomes invalid instead, for everybody."""
    one, other = Versions(folder, ticks=Ticks(0.3)), Versions(folder)
    token = token_of(one)
    with (folder / "versions").open("r+b") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        one.bump([5])
        assert not other.valid(token, [])
        assert not one.valid(token, [])
        assert one.now() == other.now()


def test_a_clearing_ends_every_token(folder: Path) -> None:
    """After a clearing there is another epoch and another data file, for all."""
    one, other = Versions(folder), Versions(folder)
    token, data = token_of(one), one.data
    one.clear()
    assert not other.valid(token, [])
    assert other.now() == one.now()
    assert one.data == other.data != data


def test_what_a_killed_writer_left_undone_is_healed(folder: Path) -> None:
    """Slots ahead of seq, for which nothing could be kept any more, are caught up with."""
    clock = Versions(folder)
    token = token_of(clock)
    clock._words[FIRST + 6] = token.seq + 1
    assert not clock.valid(token, [6])
    assert clock.heal([6, 7])
    assert not clock.valid(token, [6])
    assert clock.valid(token_of(clock), [6, 7])
    assert not clock.heal([6, 7])


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    """Somebody else's folder, or one open to all, holds nothing; the fault says what to do."""
    folder.mkdir()
    folder.chmod(0o777)
    clock = Versions(folder)
    assert clock.now() is None
    assert not clock.valid(Token(0, 0), [])
    assert "chmod 700" in clock.fault


@pytest.mark.parametrize("what", ["a file", "a link"])
def test_a_folder_that_is_none_is_not_used(folder: Path, tmp_path: Path, what: str) -> None:
    """Where no folder can be there is no clock, nothing is valid, and nothing fails."""
    if what == "a file":
        folder.write_bytes(b"")
    else:
        folder.mkdir(mode=0o700)
        (tmp_path / "elsewhere").write_bytes(bytes(versions._SIZE))
        (folder / "versions").symlink_to(tmp_path / "elsewhere")
    clock = Versions(folder)
    clock.bump([1])
    clock.clear()
    assert clock.now() is None
    assert clock.fault
    assert not (tmp_path / "elsewhere").exists() or not any((tmp_path / "elsewhere").read_bytes())


def test_a_clock_that_could_not_be_had_is_tried_again(folder: Path) -> None:
    """Once the folder can be used it is, without a new start."""
    ticks = Ticks()
    folder.write_bytes(b"")
    clock = Versions(folder, ticks=ticks)
    folder.unlink()
    assert clock.now() is None
    ticks.now += 2
    assert clock.now() is not None
    assert clock.fault == ""


FLIPPER = """
import mmap, sys
words = memoryview(mmap.mmap(open(sys.argv[1], "r+b").fileno(), 0)).cast("Q")
print("flipping", flush=True)
for _ in range(300_000):
    words[7] = 0
    words[7] = 2**64 - 1
"""


@pytest.mark.process
def test_words_are_never_half_written(folder: Path) -> None:
    """What another process writes into a word is seen whole: the order of words is all that has to be thought of."""
    clock = Versions(folder)
    with subprocess.Popen([sys.executable, "-c", FLIPPER, folder / "versions"], stdout=subprocess.PIPE) as flipper:
        assert flipper.stdout is not None
        flipper.stdout.readline()
        seen: set[int] = set()
        while flipper.poll() is None:
            seen.update(clock._words[7] for _ in range(10_000))
    assert seen <= {0, 2**64 - 1}
