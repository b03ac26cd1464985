"""Which content codings a client takes, by its Accept-Encoding (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MOST_KEPT = 512  # browsers and tools send a dozen different values between them
_LONGEST = 256
_ALIASES = {b"x-gzip": b"gzip"}  # RFC 9110, section 8.4.1.3
_MEMBER = re.compile(
    rb"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*"
    rb"(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


class Negotiator:
    """Remembers what was worked out: clients repeat themselves.

    Args:
        offered: names of codings, the preferred one first.

    Example:
        >>> Negotiator([b"zstd", b"br", b"gzip"]).acceptable(b"gzip, deflate, br;q=0.9")
        (b'gzip', b'br')
    """

    def __init__(self, offered: Sequence[bytes]) -> None:
        self._offered = tuple(offered)
        self._known: dict[bytes, tuple[bytes, ...]] = {}

    def acceptable(self, value: bytes | None) -> tuple[bytes, ...]:
        """Return the codings that a client would rather have than none, the best first.

        Args:
            value: of Accept-Encoding; None where the request has none, which is no wish for a coding.
        """
        if not value:
            return ()
        known = self._known.get(value)
        if known is None:
            known = acceptable(value, self._offered)
            if len(value) <= _LONGEST:
                if len(self._known) >= _MOST_KEPT:
                    self._known.clear()
                self._known[value] = known
        return known


def acceptable(value: bytes, offered: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return those of `offered` that a client would rather have than no coding, by its weights, then in their order.

    What is not well formed counts as not said. Where even `identity` is refused and nothing else is left, the answer is
    sent without a coding all the same: better than 406, which nobody expects.

    Example:
        >>> acceptable(b"*, br;q=0", [b"br", b"gzip"])
        (b'gzip',)
        >>> acceptable(b"gzip;q=0.5, identity", [b"gzip"])
        ()
    """
    weights = _weights(value)
    others = weights.get(b"*", 0.0)
    plain = weights.get(b"identity", 0.0)
    wanted = [(weights.get(coding, others), coding) for coding in offered]
    wanted.sort(key=lambda each: -each[0])
    return tuple(coding for weight, coding in wanted if weight > 0 and weight >= plain)


def _weights(value: bytes) -> dict[bytes, float]:
    weights: dict[bytes, float] = {}
    for text in value[: 16 * _LONGEST].split(b","):
        member = _MEMBER.fullmatch(text)
        if member:
            name = member[1].lower()
            weights[_ALIASES.get(name, name)] = float(member[2]) if member[2] else 1.0
    return weights
