"""Accept-Encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.compression.negotiate import Negotiator, acceptable

ALL = (b"zstd", b"br", b"gzip")


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        (b"gzip, deflate, br, zstd", [b"zstd", b"br", b"gzip"]),
        (b"gzip, deflate, br", [b"br", b"gzip"]),
        (b"gzip", [b"gzip"]),
        (b"GZip", [b"gzip"]),
        (b"x-gzip", [b"gzip"]),
        (b"br;q=0.5, gzip;q=0.8", [b"gzip", b"br"]),
        (b"br ; q=1.000 , gzip;Q=0.001", [b"br", b"gzip"]),
        (b"*", [b"zstd", b"br", b"gzip"]),
        (b"*;q=0.1, gzip", [b"gzip", b"zstd", b"br"]),
        (b"*, zstd;q=0", [b"br", b"gzip"]),
        (b"*;q=0", []),
        (b"gzip;q=0, *;q=0", []),
        (b"br;q=0", []),
        (b"identity", []),
        (b"identity;q=0", []),
        (b"identity;q=0, gzip", [b"gzip"]),
        (b"identity;q=1, gzip;q=0.5", []),
        (b"identity;q=0.5, gzip;q=1.0", [b"gzip"]),
        (b"identity, gzip", [b"gzip"]),
        (b"deflate, compress, exi", []),
        (b"gzip;q=2, br", [b"br"]),
        (b"gzip;q=-1, br", [b"br"]),
        (b"gzip;q=0.1234, br", [b"br"]),
        (b"gzip;q, br", [b"br"]),
        (b"gzip;q=nan, br", [b"br"]),
        (b"gzip;level=9, br", [b"br"]),
        (b"gzip br", []),
        (b",,, ,", []),
        (b"gzip, gzip;q=0", []),
        (b"\xff\xfe", []),
        (b"", []),
        (None, []),
    ],
)
def test_what_a_client_takes(value: bytes | None, codings: list[bytes]) -> None:
    """By weight, then by our order; what is no member counts as not said."""
    assert list(Negotiator(ALL).acceptable(value)) == codings


def test_our_order_decides_between_equals() -> None:
    """The client's order means nothing (RFC 9110, section 12.5.3)."""
    assert acceptable(b"zstd, gzip, br", (b"br", b"gzip")) == (b"br", b"gzip")


@given(st.binary(max_size=400))
def test_nonsense_is_never_an_error(value: bytes) -> None:
    """Whatever a client sends, it gets what we have."""
    assert set(Negotiator(ALL).acceptable(value)) <= set(ALL)


WEIGHT = st.integers(0, 1000).map(lambda thousandths: f"{thousandths / 1000:.3f}")


@given(st.dictionaries(st.sampled_from(["zstd", "br", "gzip", "identity", "*"]), WEIGHT))
def test_weights_decide(weights: dict[str, str]) -> None:
    """No refused coding is used, none that is liked less than another, none that is liked less than nothing."""
    value = ", ".join(f"{name};q={weight}" for name, weight in weights.items())
    found = acceptable(value.encode(), ALL)
    liked = {name: float(weights.get(name.decode(), weights.get("*", "0"))) for name in ALL}
    assert all(liked[name] > 0 and liked[name] >= float(weights.get("identity", "0")) for name in found)
    assert [liked[name] for name in found] == sorted((liked[name] for name in found), reverse=True)
    for name in set(ALL) - set(found):
        assert liked[name] == 0 or liked[name] < float(weights.get("identity", "0"))


def test_memory_is_bounded() -> None:
    """A client that sends something else each time fills nothing."""
    negotiator = Negotiator(ALL)
    for number in range(5000):
        assert negotiator.acceptable(b"gzip, x%d" % number) == (b"gzip",)
    assert negotiator.acceptable(b"gzip, " + b"x" * 100_000) == (b"gzip",)
    assert len(negotiator._known) <= 512
    assert max(map(len, negotiator._known)) <= 256
