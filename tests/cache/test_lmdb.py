"""The store of one machine survives what happens to its file, its disk and the processes that share it."""

import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotplate.cache.stores.base import Token
from hotplate.cache.stores.frame import pack_frame
from hotplate.cache.stores.lmdb import LmdbStore

MEGABYTE = 1 << 20
ROOT = Path(__file__).parents[2]


def key(number: int) -> bytes:
    """Return a key."""
    return number.to_bytes(4, "big") * 8


def put(store: LmdbStore, number: int, value: bytes = b"value") -> None:
    """Put a value that is valid now."""
    token = store.now()
    assert token is not None
    store.put(key(number), value, token, (number % 1000,), 600)


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


def data_file(folder: Path) -> Path:
    """Return the one data file in a folder."""
    (path,) = folder.glob("data-*.mdb")
    return path


def test_a_full_store_makes_room_by_throwing_out_the_oldest(store: LmdbStore, folder: Path) -> None:
    """Whatever is put is there afterwards, the oldest is not, and the file stays within its limit."""
    rng = random.Random(1)
    for number in range(3000):
        put(store, number, rng.randbytes(rng.choice((50, 500, 5000, 50_000))))
        assert store.look(key(number)).value is not None
    assert store.look(key(0)).value is None
    state = store.state()
    assert state.is_up
    assert 0 < state.entries < 3000 < state.entries + state.evicted + 1 <= 3001
    assert 0.5 * state.limit < state.used <= state.limit
    assert data_file(folder).stat().st_size <= state.limit


def test_one_that_is_put_again_and_again_takes_one_place(store: LmdbStore) -> None:
    """Putting under one key neither grows the store nor pushes out the others, and makes it the youngest."""
    put(store, 1)
    for _ in range(5000):
        put(store, 2, b"x" * 1000)
    state = store.state()
    assert (state.entries, state.evicted) == (2, 0)
    assert state.used < 100_000


def test_a_value_larger_than_an_eighth_is_not_kept(store: LmdbStore) -> None:
    """A value that would push out everything else is refused, and the older one under its key is gone."""
    put(store, 1)
    put(store, 2)
    put(store, 1, bytes(MEGABYTE))
    assert store.look(key(1)).value is None
    assert store.look(key(2)).value == b"value"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "noise": lambda whole: random.Random(1).randbytes(len(whole)),
    "empty": lambda _: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "a text": lambda _: b"somebody's notes\n" * 10_000,
    "cut off at a page": lambda whole: whole[: 5 * 4096],
    "cut off in a page": lambda whole: whole[: len(whole) // 2 + 77],
    "heads alone": lambda whole: whole[:8192],
    "another version": lambda whole: whole[:20] + b"\x63" + whole[21:4116] + b"\x63" + whole[4117:],
    "pages of zeros": lambda whole: whole[:8192] + bytes(len(whole) - 8192),
    "every value": lambda whole: whole.replace(b"value", b"VALUE"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_never_fatal_and_never_believed(folder: Path, damage: str) -> None:
    """What is found is what was put or nothing; after at most a second try the store keeps things again."""
    script = (
        "import sys; from pathlib import Path; from tests.cache.test_lmdb import *\n"
        "store = LmdbStore(Path(sys.argv[1]), 4 * MEGABYTE)\n"
        "for number in range(300): put(store, number, b'value' * 100)\n"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=True, cwd=ROOT)
    path = data_file(folder)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    ticks = [1000.0]
    store = LmdbStore(folder, 4 * MEGABYTE, ticks=lambda: ticks[0])
    for _ in range(2):
        for number in range(300):
            assert store.look(key(number)).value in {None, b"value" * 100}
            put(store, number, b"value" * 100)
            store.lease(key(number), 60)
            store.release(key(number))
        ticks[0] += 2
    assert [store.look(key(number)).value for number in range(300)] == [b"value" * 100] * 300
    assert store.state().is_up
    store.close()


def test_poisoned_entries_are_nothing(store: LmdbStore) -> None:
    """Whatever stands under a key that is no whole frame of now is a miss, and is replaced by the next put."""
    token = store.now()
    assert token is not None
    good = pack_frame(b"text", token, (1,), 4e9)
    poisons = (
        b"", b"x", b"12345678", bytes(8) + good[:-1], bytes(8) + good + b"x", good, bytes(8) + bytes(60),
        bytes(8) + pack_frame(b"dead", token, (1,), 5.0), bytes(8) + pack_frame(b"never dies", token, (), float("nan")),
        bytes(8) + pack_frame(b"another epoch", Token(token.epoch + 1, 0), (), 4e9),
        bytes(8) + pack_frame(b"no epoch", Token(0, 2**63), (), 4e9),
    )  # fmt: skip
    for poison in poisons:
        put(store, 1)
        file = store._file()
        assert file is not None
        with file.begin(write=True) as txn:
            txn.put(key(1), poison, db=file.entries)
        assert store.look(key(1)).value is None
        put(store, 1, b"again")
        if store.look(key(1)).value is None:
            put(store, 1, b"again")
        assert store.look(key(1)).value == b"again"


def test_the_folder_can_be_of_no_use(tmp_path: Path) -> None:
    """Where nothing can be written nothing is held, everybody computes, and the state says why."""
    (tmp_path / "file").write_bytes(b"")
    store = LmdbStore(tmp_path / "file" / "cache", 4 * MEGABYTE)
    assert store.look(key(1)) == (None, None, (), 0.0)
    store.put(key(1), b"value", Token(1, 1), (), 60)
    store.drop([key(1)])
    store.bump([1])
    store.clear()
    assert store.lease(key(1), 60)
    store.release(key(1))
    state = store.state()
    assert not state.is_up
    assert "Not a directory" in state.detail or "cannot" in state.detail
    store.close()


def test_where_the_data_file_cannot_be_opened_invalidation_still_works(folder: Path) -> None:
    """Without the file the clock goes on, for what workers have in memory."""
    store = LmdbStore(folder, 4 * MEGABYTE)
    (folder / f"data-{store.data:016x}.mdb").mkdir()
    look = store.look(key(1))
    assert look.value is None
    assert look.token is not None
    assert store.valid(look.token, [1])
    store.bump([1])
    assert not store.valid(look.token, [1])
    store.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.cache.test_lmdb import *
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
store = LmdbStore(Path(sys.argv[1]), 64 * MEGABYTE)
for number in range(400):
    if store.now() is not None:
        put(store, number, bytes(20_000))
    store.look(key(number))
    store.lease(key(number), 60)
    store.release(key(number))
    store.bump([5])
print(store.state().faults, store.now() is not None)
"""


@pytest.mark.parametrize("allowed", [0, 100_000, 600_000, 2 * MEGABYTE])
def test_a_disk_without_room_is_never_fatal(folder: Path, allowed: int) -> None:
    """Where files cannot grow, a process goes on: what does not fit is not kept."""
    assert resource.RLIMIT_FSIZE
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, folder, str(allowed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    faults, has_clock = ran.stdout.split()
    assert int(faults) > 0
    assert (has_clock == "True") == (allowed > 524_352)


def test_two_stores_of_one_process_share_a_file(folder: Path) -> None:
    """A folder may be opened twice, and one closing does not disturb the other."""
    one, other = LmdbStore(folder, MEGABYTE), LmdbStore(folder, MEGABYTE)
    put(one, 1)
    assert other.look(key(1)).value == b"value"
    one.close()
    assert other.look(key(1)).value == b"value"
    assert one.look(key(1)).value == b"value"
    one.close()
    other.close()


def test_a_clearing_leaves_the_data_behind(store: LmdbStore, folder: Path) -> None:
    """After a clearing what was stored is no longer on the disk."""
    put(store, 1, b"secret" * 1000)
    old = data_file(folder)
    store.clear()
    put(store, 2)
    assert data_file(folder) != old
