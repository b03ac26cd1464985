"""Memory in front of a store is only ever faster, never different."""

from collections.abc import Callable

import pytest

from hotplate.cache.shelf import Found, Shelf
from hotplate.cache.stores.base import Look
from hotplate.cache.stores.local import LocalStore

KEY, FULL = bytes(32), b"GET https://example.org/"


class Clock:
    """A wall clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


class Page:
    """An object that a decoder has made."""

    def __init__(self, text: bytes) -> None:
        self.text = text


def decode(value: bytes, full: bytes) -> Page | None:
    """Make a page of what was stored for this very key."""
    name, _, text = value.partition(b"\n")
    return Page(text) if name == full else None


@pytest.fixture
def clock() -> Clock:
    """A clock for all of a test."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> LocalStore:
    """A store in this process."""
    return LocalStore(1_000_000, clock=clock, ticks=clock)


@pytest.fixture
def shelf(store: LocalStore, clock: Clock) -> Shelf[Page]:
    """A shelf before the store."""
    return Shelf(store, 100_000, clock=clock)


def keep(shelf: Shelf[Page], seconds: float = 60, slots: tuple[int, ...] = (7,)) -> Page:
    """Keep a page and return it."""
    page = Page(b"text")
    shelf.keep(KEY, page, FULL + b"\n" + page.text, shelf.store.now(), slots, seconds)
    return page


def test_what_is_kept_is_in_memory_and_in_the_store(shelf: Shelf[Page], store: LocalStore, clock: Clock) -> None:
    """The same object is served here; another worker decodes it once and then serves its own."""
    page = keep(shelf)
    assert shelf.peek(KEY) is page
    assert shelf.look(KEY, FULL, decode).object is page
    other: Shelf[Page] = Shelf(store, 100_000, clock=clock)
    assert other.peek(KEY) is None
    found = other.look(KEY, FULL, decode)
    assert found.object is not None
    assert found.object.text == b"text"
    assert other.peek(KEY) is found.object


def test_an_invalidation_reaches_memory(shelf: Shelf[Page], store: LocalStore) -> None:
    """After a bump or a clearing nothing in memory is served, nor kept that was begun before."""
    token = store.now()

    def bump() -> None:
        store.bump([7])

    for invalidate in (bump, store.clear):
        keep(shelf)
        invalidate()
        assert shelf.peek(KEY) is None
        assert shelf.look(KEY, FULL, decode).object is None
        shelf.keep(KEY, Page(b"old"), FULL + b"\nold", token, (7,), 60)
        shelf.note(KEY, Page(b"old"), 10, 60, token, (7,))
        assert shelf.peek(KEY) is None


def test_an_object_dies_in_memory_as_in_the_store(shelf: Shelf[Page], store: LocalStore, clock: Clock) -> None:
    """The time to die is the stored one, for the worker that kept it and for the one that found it."""
    keep(shelf, seconds=60)
    clock.now += 50
    other: Shelf[Page] = Shelf(store, 100_000, clock=clock)
    assert other.look(KEY, FULL, decode).object
    clock.now += 9
    assert shelf.peek(KEY)
    assert other.peek(KEY)
    clock.now += 1
    assert shelf.peek(KEY) is None
    assert other.peek(KEY) is None
    assert other.look(KEY, FULL, decode).object is None


def test_what_cannot_be_decoded_is_not_there(shelf: Shelf[Page]) -> None:
    """Another key's value is nothing found, with a token to compute and keep the right one."""
    keep(shelf)
    shelf.memory.clear()
    found = shelf.look(KEY, b"another key", decode)
    assert found.object is None
    assert found.token == shelf.store.now()


def test_a_note_is_in_memory_alone(shelf: Shelf[Page], store: LocalStore, clock: Clock) -> None:
    """A note is served until its time, and the store never hears of it."""
    note = Page(b"marker")
    shelf.note(KEY, note, 100, 5, store.now(), ())
    assert shelf.peek(KEY) is note
    assert store.look(KEY).value is None
    clock.now += 5
    assert shelf.peek(KEY) is None


def test_what_is_forgotten_is_forgotten_everywhere(shelf: Shelf[Page], store: LocalStore) -> None:
    """Forgetting takes the object out of memory and out of the store."""
    keep(shelf)
    shelf.forget(KEY)
    assert shelf.peek(KEY) is None
    assert store.look(KEY).value is None


def test_without_memory_the_store_still_serves(store: LocalStore, clock: Clock) -> None:
    """A bound of 0 bytes decodes every time."""
    shelf: Shelf[Page] = Shelf(store, 0, clock=clock)
    keep(shelf)
    assert shelf.peek(KEY) is None
    assert shelf.look(KEY, FULL, decode).object


def test_without_a_token_nothing_is_kept(shelf: Shelf[Page]) -> None:
    """Where the store could not be reached, what is computed is for one answer only."""
    shelf.keep(KEY, Page(b"x"), FULL + b"\nx", None, (), 60)
    shelf.note(KEY, Page(b"x"), 10, 60, None, ())
    assert shelf.look(KEY, FULL, decode).object is None


class SlowStore(LocalStore):
    """A store that answers later."""

    is_slow = True

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.waiting: list[Callable[[], None]] = []

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look when the test says so."""
        self.waiting.append(lambda: told(self.look(key)))


def test_looking_soon_tells_of_memory_at_once_and_of_the_store_later() -> None:
    """One is told exactly once; what came from the store is in memory from then on."""
    store = SlowStore()
    token = store.now()
    store.put(KEY, FULL + b"\nlater", token, (7,), 60)
    shelf: Shelf[Page] = Shelf(store, 100_000)
    told: list[Found[Page]] = []
    shelf.look_soon(KEY, FULL, decode, told.append)
    assert told == []
    store.waiting.pop()()
    assert [found.object.text for found in told if found.object] == [b"later"]
    shelf.look_soon(KEY, FULL, decode, told.append)
    assert len(told) == 2
    assert told[1].object is shelf.peek(KEY)
    assert store.waiting == []
