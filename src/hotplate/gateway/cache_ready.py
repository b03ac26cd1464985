"""A stored response as a worker holds it in memory: decoded and ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping

from hotplate.cache.answer import Prepared, prepare
from hotplate.cache.entry import Entry
from hotplate.cache.entry import decode as decode_entry
from hotplate.gateway.compressing_fields import look

# Early refresh (XFetch) begins before the end of an entry's life: with `cost` seconds to make it, the chance that a
# request so long before the end sets it off is e^-this. Until then a hit need not throw dice.
_DICE = 12.0


class Ready:
    """A stored response, or the list of its variants, or a marker.

    Args:
        entry: as stored.
        variants: its body in codings of ours, by their names.

    Attributes:
        entry: as stored.
        prepared: what is sent.
        plain_until: wall-clock seconds until which it is fresh for every request that asks for nothing special.
        is_compressible: whether a coding may be applied to it.
        coding_tried: codings for which a variant has been asked for.
    """

    __slots__ = ("coding_tried", "entry", "is_compressible", "plain_until", "prepared")

    def __init__(self, entry: Entry, variants: Mapping[bytes, bytes] | None = None) -> None:
        self.entry = entry
        self.prepared: Prepared = prepare(entry, variants)
        self.is_compressible = bool(entry.body) and look(entry.status, list(entry.fields)) is not None
        self.coding_tried: set[bytes] = set()
        self.plain_until = 0.0
        if entry.status and not entry.no_cache and not entry.refused:
            self.plain_until = entry.received + entry.lifetime - entry.age - entry.cost * _DICE

    @property
    def can_be_fresh(self) -> bool:
        """Whether it may be used without asking the app each time."""
        return not self.entry.no_cache and self.entry.lifetime > self.entry.age

    @property
    def is_list(self) -> bool:
        """Whether it only tells how variants are found."""
        return bool(self.entry.variants)

    def with_variant(self, coding: bytes, body: bytes) -> Ready:
        """Return it with one more coding."""
        variants = {known: shape.body for known, shape in self.prepared.coded.items()}
        ready = Ready(self.entry, {**variants, coding: body})
        ready.coding_tried = self.coding_tried
        return ready

    def size(self) -> int:
        """Return roughly the bytes it takes in memory."""
        return (
            2 * self.entry.size()
            - len(self.entry.body)
            + sum(len(shape.body) + 1000 for shape in self.prepared.coded.values())
        )


def decode(value: bytes, full: bytes) -> Ready | None:
    """Return what is kept in `value`, or None where it is damaged or another key's."""
    entry = decode_entry(value, full)
    return Ready(entry) if entry is not None else None
