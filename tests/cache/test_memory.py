"""A worker's memory stays within its bound and keeps what is asked for."""

import random
import threading
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from hotplate.cache.memory import Memory


def key(number: int) -> bytes:
    """Return a key."""
    return number.to_bytes(32, "big")


STEPS = st.lists(
    st.tuples(st.sampled_from(("put", "get", "discard", "clear")), st.integers(0, 12), st.integers(0, 60)), max_size=200
)


@given(STEPS)
def test_whatever_happens_the_bound_holds_and_nothing_is_mistaken(steps: list[tuple[str, int, int]]) -> None:
    """What is got is what was last put under that key; what is held adds up, and never to more than allowed."""
    memory: Memory[tuple[int, int]] = Memory(100)
    last: dict[bytes, tuple[int, int]] = {}
    for number, (what, name, size) in enumerate(steps):
        if what == "put":
            last[key(name)] = (number, size)
            memory.put(key(name), (number, size), size)
        elif what == "discard":
            memory.discard(key(name))
            last.pop(key(name), None)
        elif what == "clear":
            memory.clear()
            last.clear()
        assert memory.get(key(name)) in {None, last.get(key(name))}
        held = [kept for kept in (memory.get(key(each)) for each in range(13)) if kept is not None]
        assert sum(size for _, size in held) == memory.used <= memory.limit
        assert len(held) == len(memory)


def test_what_is_asked_for_outlives_what_is_not() -> None:
    """A walk through a thousand objects that nobody asks for again does not push out the few that are in demand."""
    memory: Memory[int] = Memory(100)
    for number in range(10):
        memory.put(key(number), number, 1)
        memory.get(key(number))
    for number in range(10, 1010):
        memory.put(key(number), number, 1)
        for popular in range(10):
            memory.get(key(popular))
    assert [memory.get(key(number)) for number in range(10)] == list(range(10))


def test_on_skewed_traffic_it_misses_less_than_lru() -> None:
    """On requests as Zipf has them, with a third for things asked for once, fewer are missed than by LRU."""
    rng = random.Random(3)
    memory: Memory[bool] = Memory(100)
    lru: OrderedDict[bytes, bool] = OrderedDict()
    missed = missed_by_lru = 0
    popular = rng.choices(range(2000), [1 / rank for rank in range(1, 2001)], k=20_000)
    for number, rank in enumerate(popular):
        name = key(rank if rng.random() < 2 / 3 else 10_000 + number)
        if memory.get(name) is None:
            missed += 1
            memory.put(name, True, 1)
        if name in lru:
            lru.move_to_end(name)
        else:
            missed_by_lru += 1
            lru[name] = True
            if len(lru) > 100:
                lru.popitem(last=False)
    assert missed < missed_by_lru * 0.95


def test_one_too_large_is_not_kept_and_ends_the_one_before() -> None:
    """What does not fit pushes nothing out; the older object under its key is gone, as the newer one holds."""
    memory: Memory[str] = Memory(10)
    memory.put(b"a", "small", 4)
    memory.put(b"b", "other", 4)
    memory.put(b"a", "large", 11)
    assert (memory.get(b"a"), memory.get(b"b"), memory.used) == (None, "other", 4)


def test_only_the_object_that_is_meant_is_discarded() -> None:
    """Discarding an object that was replaced meanwhile leaves its successor."""
    memory: Memory[list[int]] = Memory(10)
    old, new = [1], [1]
    memory.put(b"a", old, 1)
    memory.put(b"a", new, 1)
    memory.discard(b"a", old)
    assert memory.get(b"a") is new


def test_threads_do_not_lose_the_count() -> None:
    """Threads that put, get and discard at once leave a memory that adds up."""
    memory: Memory[int] = Memory(500)

    def run(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(3000):
            number = rng.randrange(100)
            if rng.random() < 0.3:
                memory.put(key(number), number, rng.randrange(40))
            elif rng.random() < 0.1:
                memory.discard(key(number))
            else:
                assert memory.get(key(number)) in {None, number}

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 <= memory.used <= 500
    for number in range(100):
        memory.discard(key(number))
    assert (memory.used, len(memory)) == (0, 0)
