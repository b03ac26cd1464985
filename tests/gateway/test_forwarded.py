"""Forwarded headers change a request only where a trusted proxy vouches for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.forwarded import forwarded, trust
from hotplate.gateway.forwarded_fields import claim_of, hop_of
from hotplate.gateway.types import Receive, Scope, Send
from tests.gateway.corpus.plane import plane, talk

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48")
PROXY, SECOND, CLIENT = "10.0.0.1", "10.0.0.2", "203.0.113.7"


def through(
    fields: Sequence[tuple[str, str]], peer: str | None = PROXY, proxies: Sequence[str] = PROXIES, kind: str = "http"
) -> Scope:
    """Return the scope that an app behind `proxies` gets for a request from `peer`."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(_message: Any = None) -> Any:
        return {}

    scope: Scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "client": None if peer is None else (peer, 4711),
        "headers": [
            (b"host", b"inner:8000"),
            (b"accept", b"*/*"),
            *((n.encode(), v.encode("latin-1")) for n, v in fields),
        ],
    }
    with pytest.raises(StopIteration):
        forwarded(app, proxies)(scope, nothing, nothing).__await__().send(None)
    return seen[0]


def told(scope: Scope) -> tuple[Any, str, str]:
    """Return client address, scheme and host as the app sees them."""
    hosts = [value.decode() for name, value in scope["headers"] if name == b"host"]
    assert len(hosts) == 1
    return scope["client"] and scope["client"][0], scope["scheme"], hosts[0]


FOR, PROTO, HOST = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], (PROXY, "http", "inner:8000")),
        ([(FOR, CLIENT)], (CLIENT, "http", "inner:8000")),
        ([(FOR, CLIENT), (PROTO, "https"), (HOST, "shop.example")], (CLIENT, "https", "shop.example")),
        # What the client itself had sent stands left of its address.
        ([(FOR, f"1.2.3.4, {CLIENT}")], (CLIENT, "http", "inner:8000")),
        ([(FOR, f"1.2.3.4, {CLIENT}, {SECOND}")], (CLIENT, "http", "inner:8000")),
        ([(FOR, "1.2.3.4"), (FOR, CLIENT)], (CLIENT, "http", "inner:8000")),
        ([(FOR, f"{SECOND}, {SECOND}")], (SECOND, "http", "inner:8000")),
        # Appended for each hop, it counts at the client's place; replaced, by the last.
        ([(FOR, f"1.2.3.4, {CLIENT}, {SECOND}"), (PROTO, "ftp, https, http")], (CLIENT, "https", "inner:8000")),
        ([(FOR, f"1.2.3.4, {CLIENT}"), (PROTO, "https")], (CLIENT, "https", "inner:8000")),
        ([(FOR, f"1.2.3.4, {CLIENT}"), (PROTO, "https, http")], (CLIENT, "http", "inner:8000")),
        ([(FOR, f"1.2.3.4, {CLIENT}"), (HOST, "evil.example, shop.example")], (CLIENT, "http", "shop.example")),
        ([(PROTO, "HTTPS")], (PROXY, "https", "inner:8000")),
        # Nonsense is not taken over, nor is what stands left of it.
        ([(FOR, f"{CLIENT}, unknown")], (PROXY, "http", "inner:8000")),
        ([(FOR, f"{CLIENT}, unknown, {SECOND}")], (SECOND, "http", "inner:8000")),
        ([(FOR, "nonsense")], (PROXY, "http", "inner:8000")),
        ([(FOR, "")], (PROXY, "http", "inner:8000")),
        ([(PROTO, "javascript")], (PROXY, "http", "inner:8000")),
        ([(HOST, "a b")], (PROXY, "http", "inner:8000")),
        ([(HOST, "shop.example/path")], (PROXY, "http", "inner:8000")),
        # Ports and IPv6.
        ([(FOR, f"{CLIENT}:99")], (CLIENT, "http", "inner:8000")),
        ([(FOR, "[2001:db8::1]:99")], ("2001:db8::1", "http", "inner:8000")),
        ([(FOR, "2001:DB8:0::1")], ("2001:db8::1", "http", "inner:8000")),
        ([(FOR, f"{CLIENT}, 2001:db8:1::5")], (CLIENT, "http", "inner:8000")),
        # RFC 7239, where it stands alone.
        ([("forwarded", f"for={CLIENT};proto=https;host=shop.example")], (CLIENT, "https", "shop.example")),
        ([("forwarded", 'For="[2001:db8::1]:99"')], ("2001:db8::1", "http", "inner:8000")),
        ([("forwarded", f"for=1.2.3.4, for={CLIENT};proto=https, for={SECOND}")], (CLIENT, "https", "inner:8000")),
        ([("forwarded", f"for={CLIENT};proto=https"), ("forwarded", f"for={SECOND}")], (CLIENT, "https", "inner:8000")),
        ([("forwarded", f"for={CLIENT}, for=_hidden")], (PROXY, "http", "inner:8000")),
        ([("forwarded", f'for="{CLIENT}')], (PROXY, "http", "inner:8000")),
        ([("forwarded", f"for={CLIENT};for=1.2.3.4")], (PROXY, "http", "inner:8000")),
        # Beside the other kind it is the client's own word.
        ([("forwarded", "for=1.2.3.4;proto=https"), (FOR, CLIENT)], (CLIENT, "http", "inner:8000")),
    ],
)
def test_a_trusted_proxy_tells_who_asked_how_and_for_whom(
    fields: list[tuple[str, str]], expected: tuple[str, str, str]
) -> None:
    """The first address from the right that is no trusted proxy is the client."""
    assert told(through(fields)) == expected


@pytest.mark.parametrize("peer", [CLIENT, "::1", "127.0.0.1", "", "nonsense"])
def test_an_untrusted_peer_is_not_even_heard_by_the_app(peer: str) -> None:
    """The whole family is taken away, so that no middleware believes it instead."""
    said = [(FOR, "1.2.3.4"), (PROTO, "https"), (HOST, "evil.example"), ("forwarded", "for=1.2.3.4")]
    said += [("x-real-ip", "1.2.3.4"), ("x-forwarded-user", "root"), ("x-forwarded-anything", "1"), ("x-other", "1")]
    scope = through(said, peer)
    assert told(scope) == (peer, "http", "inner:8000")
    assert [name for name, _value in scope["headers"]] == [b"host", b"accept", b"x-other"]


def test_without_trusted_proxies_nobody_is_believed() -> None:
    """The default: not even loopback."""
    assert told(through([(FOR, CLIENT)], "127.0.0.1", ())) == ("127.0.0.1", "http", "inner:8000")


def test_the_peer_of_a_unix_socket_is_believed() -> None:
    """The rights of the file decide who may speak there."""
    assert told(through([(FOR, f"1.2.3.4, {CLIENT}"), (PROTO, "https")], None, ())) == (CLIENT, "https", "inner:8000")
    assert through([], None, ())["client"] is None


def test_the_app_gets_only_what_was_believed() -> None:
    """Hearsay is cut off, so that a middleware which counts hops differently cannot be fooled."""
    said = [(FOR, f"1.2.3.4, {CLIENT}, {SECOND}"), (PROTO, "https, http, https"), ("forwarded", "for=1.2.3.4")]
    headers = dict(through([*said, ("x-forwarded-prefix", "/shop")])["headers"])
    assert headers[b"x-forwarded-for"] == f"{CLIENT}, {SECOND}".encode()
    assert headers[b"x-forwarded-proto"] == b"http"
    assert headers[b"x-forwarded-prefix"] == b"/shop"
    assert b"forwarded" not in headers


def test_a_websocket_gets_its_own_schemes() -> None:
    """Https means wss there."""
    assert through([(PROTO, "https")], kind="websocket")["scheme"] == "wss"
    assert through([(PROTO, "http")], kind="websocket")["scheme"] == "ws"


def test_an_ipv4_peer_of_an_ipv6_socket_is_the_same_peer() -> None:
    """The kernel shows it as ::ffff:a.b.c.d."""
    trusts = trust(PROXIES)
    assert trusts("::ffff:10.0.0.1")
    assert not trusts("::ffff:11.0.0.1")


def test_what_is_remembered_is_not_mixed_up() -> None:
    """The same fields from two peers, trusted and not, are two decisions."""
    app = [(FOR, CLIENT)]
    assert [told(through(app, peer))[0] for peer in (PROXY, CLIENT, PROXY, "192.0.2.1")] == [
        CLIENT,
        CLIENT,
        CLIENT,
        "192.0.2.1",
    ]


addresses = st.ip_addresses().map(str)
words = st.sampled_from(
    ["https", "http", "unknown", "", ",", '"', "for=1.2.3.4", "host=evil.example;proto=https", "a b"]
)
values = st.lists(addresses | words | st.text(st.characters(max_codepoint=255), max_size=12), max_size=4).map(", ".join)
names = st.sampled_from([FOR, PROTO, HOST, "forwarded", "x-real-ip", "x-forwarded-port", "x-scheme", "cookie"])
said_fields = st.lists(st.tuples(names, values), max_size=6)


@given(said_fields, addresses.filter(lambda text: not trust(PROXIES)(text)))
def test_nothing_an_untrusted_peer_says_changes_anything(fields: list[tuple[str, str]], peer: str) -> None:
    """Client, scheme and host stay what the connection says."""
    scope = through(fields, peer)
    assert told(scope) == (peer, "http", "inner:8000")
    assert scope["client"] == (peer, 4711)
    assert all(name in {b"host", b"accept", b"cookie"} for name, _value in scope["headers"])


@given(said_fields)
def test_what_a_client_says_to_a_trusted_proxy_changes_nothing(sent: list[tuple[str, str]]) -> None:
    """A proxy that appends its own view of the client to whatever it was sent is enough."""
    sent = [(name, value) for name, value in sent if name in {FOR, "forwarded", "cookie"}]
    scope = through([*sent, (FOR, CLIENT)])
    assert told(scope) == (CLIENT, "http", "inner:8000")
    forwarded_for = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    assert forwarded_for == [CLIENT.encode()]


@given(st.binary(max_size=60))
def test_reading_never_raises(text: bytes) -> None:
    """Whatever stands in the fields."""
    hop_of(text)
    for name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"):
        claim = claim_of([(name, text)])
        for back in range(1, 4):
            claim.scheme_at(back)
            claim.host_at(back)


def test_long_chains_take_no_long_time() -> None:
    """As long as the limit of the header section lets them be; the clock that matters is pytest's time-out."""
    assert told(through([(FOR, ", ".join([CLIENT] * 4000))]))[0] == CLIENT
    assert told(through([("forwarded", ", ".join([f"for={CLIENT}"] * 4000))]))[0] == CLIENT
    assert told(through([("forwarded", '"' * 60_000)]))[0] == PROXY


def test_trust_works_through_a_real_connection(tmp_path: Path) -> None:
    """Over TCP from a trusted network, over TCP without, and over a Unix socket."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    with plane("front", trusted_proxies=["127.0.0.0/8"]) as address:
        seen = talk(address, request).seen["scope"]
        assert (seen["client"], seen["scheme"]) == ([CLIENT, 0], "https")
    with plane("front") as address:
        seen = talk(address, request).seen["scope"]
        assert (seen["client"][0], seen["scheme"], seen["headers"]) == ("127.0.0.1", "http", [["host", "a"]])
    with plane("front", unix=tmp_path / "s") as address:
        seen = talk(address, request).seen["scope"]
        assert (seen["client"], seen["scheme"]) == ([CLIENT, 0], "https")
