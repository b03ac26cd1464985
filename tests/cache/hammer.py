"""What readers and changers do to a store at once, and how one sees that nobody was told anything old.

`truth` has the version of each thing as it is, `told` the last version whose invalidation was acknowledged; both are
words in a file that all processes map, or in memory for threads. Only its owner changes a thing. A page is composed of
one thing and of another thing's fragment, which is itself kept: what is begun early may not vouch for what is old.

Run as a program it goes on until it is killed: `python -m tests.cache.hammer KIND ADDRESS FILE NUMBER OF`.
"""

import mmap
import os
import random
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Final

from hotplate.cache.shelf import Shelf
from hotplate.cache.stores.base import Store, Token
from tests.cache.contract import open_store

THINGS: Final = 24
SIZE: Final = 8 * 2 * THINGS

Words = memoryview


class OldError(AssertionError):
    """Something that had been invalidated, or never was there, has been served."""


def key(kind: str, thing: int) -> bytes:
    """Return the key of a thing's fragment or page."""
    return blake2b(b"%s %d" % (kind.encode(), thing), digest_size=32).digest()


def encode(versions: tuple[int, ...], rng: random.Random) -> bytes:
    """Return a value that says whether it is whole; small ones and ones of several pages."""
    text = (
        b" ".join(b"%d" % version for version in versions) + b"\n" + rng.randbytes(rng.choice((10, 900, 9000, 40_000)))
    )
    return blake2b(text, digest_size=16).digest() + text


def decode(value: bytes, _: bytes = b"") -> tuple[int, ...]:
    """Return the versions in a value.

    Raises:
        OldError: it is not whole.
    """
    digest, text = value[:16], value[16:]
    if blake2b(text, digest_size=16).digest() != digest:
        raise OldError(f"a value of {len(value)} bytes is not as it was put")
    return tuple(int(number) for number in text.partition(b"\n")[0].split())


class Hammer:
    """One reader and changer.

    Args:
        store: what is tried; half of the reading goes through a shelf before it.
        words: `truth` and `told`.
        number: of this one; it changes the things whose number is its own modulo `of`.
        of: how many there are.
    """

    def __init__(self, store: Store, words: Words, number: int, of: int) -> None:
        self.store = store
        self.shelf: Shelf[tuple[int, ...]] = Shelf(store, 1_000_000)
        self.truth, self.told = words[:THINGS], words[THINGS:]
        self.own = [thing for thing in range(THINGS) if thing % of == number]
        self.rng = random.Random(os.urandom(8))
        self.served = 0

    def strike(self) -> None:
        """Do one thing to the store."""
        what = self.rng.random()
        if what < 0.15:
            self.change(self.rng.choice(self.own))
        elif what < 0.2:
            self.store.lease(key("page", self.rng.randrange(THINGS)), 600)
        elif what < 0.25:
            self.store.release(key("page", self.rng.randrange(THINGS)))
        elif what < 0.27:
            self.store.drop([key("fragment", self.rng.randrange(THINGS))])
        elif what < 0.275:
            self.store.clear()
        else:
            self.page(self.rng.randrange(THINGS))

    def change(self, thing: int) -> None:
        """Change a thing, and have everybody told."""
        version = self.truth[thing] + 1
        self.truth[thing] = version
        self.store.bump([thing * 100, 60_000 + thing])
        self.told[thing] = version

    def page(self, thing: int) -> None:
        """Read a page; where there is none, compose and keep it."""
        other = (thing * 7 + 3) % THINGS
        least = (self.told[thing], self.told[other])
        seen, token = self._read(key("page", thing))
        if seen is not None:
            self._check(seen, least)
            return
        fragment, _ = self._fragment(other)
        versions = (self.truth[thing], fragment)
        self._keep(key("page", thing), versions, token, (thing * 100, other * 100))

    def _fragment(self, thing: int) -> tuple[int, Token | None]:
        least = (self.told[thing],)
        seen, token = self._read(key("fragment", thing))
        if seen is not None:
            self._check(seen, least)
            return seen[0], token
        version = self.truth[thing]
        self._keep(key("fragment", thing), (version,), token, (60_000 + thing, thing * 100))
        return version, token

    def _read(self, name: bytes) -> tuple[tuple[int, ...] | None, Token | None]:
        if self.rng.random() < 0.5:
            found = self.shelf.look(name, name, decode)
            return found.object, found.token
        look = self.store.look(name)
        return None if look.value is None else decode(look.value), look.token

    def _keep(self, name: bytes, versions: tuple[int, ...], token: Token | None, slots: tuple[int, ...]) -> None:
        self.shelf.keep(name, versions, encode(versions, self.rng), token, slots, self.rng.choice((0.001, 60)))

    def _check(self, seen: tuple[int, ...], least: tuple[int, ...]) -> None:
        self.served += 1
        if any(one < other for one, other in zip(seen, least, strict=True)):
            raise OldError(f"served {seen} after {least} had been acknowledged")


def mapped(path: Path) -> Words:
    """Map the words of a file, which is made where it is missing."""
    with path.open("ab") as file:
        file.truncate(SIZE)
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), SIZE)).cast("Q")


def main() -> None:
    """Strike until killed; say once that it works."""
    kind, address, words, number, of = sys.argv[1:]
    hammer = Hammer(open_store(kind, address), mapped(Path(words)), int(number), int(of))
    for _ in range(20):
        hammer.strike()
    sys.stdout.write("striking\n")
    sys.stdout.flush()
    while True:
        hammer.strike()


if __name__ == "__main__":
    main()
