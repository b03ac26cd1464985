"""A stored response as a worker holds it in memory: decoded and ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping

from hotplate.cache.entry import Entry
from hotplate.cache.http.answer import Prepared, prepare
from hotplate.cache.key import Key
from hotplate.cache.key import variant as key_of_variant
from hotplate.gateway.compressing_fields import look, varied

# Early refresh (XFetch) begins before the end of an entry's life: with `cost` seconds to make it, the chance that a
# request so long before the end sets it off is e^-this. Until then a hit need not throw dice.
_DICE = 12.0
_MOST_SAVED = 3600.0  # seconds; what took longer was not computing
_MOST_KNOWN = 128  # combinations of request fields whose key is remembered, some 500 bytes each
_LONGEST_KNOWN = 512


class Ready:
    """A stored response, or the list of its variants, or a marker.

    Args:
        entry: as stored.
        variants: its body in codings of ours, by their names.
        smallest: bytes from which on a body is sent in a coding; 0 where none ever is.

    Attributes:
        entry: as stored.
        prepared: what is sent.
        plain_until: wall-clock seconds until which it is fresh for every request that asks for nothing special.
        is_list: whether it only tells how variants are found.
        received: wall-clock seconds when it came.
        saves: microseconds that a hit saves.
        smallest: as above.
        is_compressible: whether clients get it in a coding where they take one.
        coding_tried: codings for which a variant has been asked for.
        hopeless: those of them in which it is no smaller.
    """

    __slots__ = (
        "_keys",
        "coding_tried",
        "entry",
        "hopeless",
        "is_compressible",
        "is_list",
        "plain_until",
        "prepared",
        "received",
        "saves",
        "smallest",
    )

    def __init__(self, entry: Entry, variants: Mapping[bytes, bytes] | None = None, *, smallest: int = 0) -> None:
        self.entry = entry
        self.prepared: Prepared = prepare(entry, variants)
        self.smallest = smallest
        self.is_compressible = 0 < smallest <= len(entry.body) and look(entry.status, list(entry.fields)) is not None
        if self.is_compressible and not variants:
            self.prepared.plain.fields = varied(self.prepared.plain.fields)
        self.received = entry.received
        self.saves = int(min(entry.cost, _MOST_SAVED) * 1e6)
        self.is_list = bool(entry.variants)
        self._keys: dict[tuple[bytes | None, ...], Key] = {}
        self.coding_tried: set[bytes] = set()
        self.hopeless: set[bytes] = set()
        self.plain_until = 0.0
        if entry.status and not entry.no_cache and not entry.refused:
            self.plain_until = entry.received + entry.lifetime - entry.age - entry.cost * _DICE

    @property
    def can_be_fresh(self) -> bool:
        """Whether it may be used without asking the app each time."""
        return not self.entry.no_cache and self.entry.lifetime > self.entry.age

    def variant(self, key: Key, headers: list[tuple[bytes, bytes]], *, loose: bool) -> Key | None:
        """Return the key of the only variant that a request may find by this list; None where it is not that simple.

        Remembered by the fields' values as sent, since making a key costs some 3 microseconds.

        Args:
            key: of the URL.
            headers: of the request.
            loose: see `hotplate.cache.key.variant`.
        """
        variants = self.entry.variants
        fields = dict(headers)
        if len(variants) > 1 or len(fields) < len(headers):
            return None
        values = tuple(map(fields.get, variants[0]))
        known = self._keys.get(values)
        if known is None:
            known = key_of_variant(key, variants[0], headers, loose=loose)
            if len(self._keys) >= _MOST_KNOWN:
                self._keys.clear()
            if sum(map(len, filter(None, values))) <= _LONGEST_KNOWN:
                self._keys[values] = known
        return known

    def with_variant(self, coding: bytes, body: bytes) -> Ready:
        """Return it with one more coding."""
        variants = {known: shape.body for known, shape in self.prepared.coded.items()}
        ready = Ready(self.entry, {**variants, coding: body}, smallest=self.smallest)
        ready.coding_tried, ready.hopeless = self.coding_tried, self.hopeless
        return ready

    def coding(self, codings: tuple[bytes, ...]) -> bytes | None:
        """Return the coding to send it in, empty for none; None where the best one has yet to be made.

        Args:
            codings: that the client takes, the best first.
        """
        best = codings[0]
        coded = self.prepared.coded
        if best in coded:
            return best
        if best in self.hopeless:
            return b""
        if best not in self.coding_tried:
            return None
        return next((name for name in codings if name in coded), None)

    def size(self) -> int:
        """Return roughly the bytes it takes in memory."""
        return (
            2 * self.entry.size()
            - len(self.entry.body)
            + sum(len(shape.body) + 1000 for shape in self.prepared.coded.values())
        )
