"""Believes forwarded headers from trusted proxies, and takes them away from everybody else.

Which peer may say who the client is: the networks of `trusted_proxies`, and whoever can open our Unix socket. What an
untrusted peer says is removed from the scope, the whole `X-Forwarded-*` family included (user names and certificates
travel in it, too), so that neither the app nor a middleware such as Werkzeug's ProxyFix can be fooled.

From a trusted peer, `X-Forwarded-For` is walked from right to left, for each proxy appends who spoke to it: the client
is the first address that is no trusted proxy; what stands left of it is hearsay and is cut off. `X-Forwarded-Proto` and
`-Host` count where they stand at the client's place, or by their last value. `Forwarded` (RFC 7239) is used only where
none of the three is present: a proxy that writes one kind passes the client's own words of the other kind through, and
nearly all proxies write the first. One that writes only `Forwarded` must remove `X-Forwarded-*`, and every proxy must
set or remove each of the three itself, as for any server. `X-Forwarded-Port` and `-Prefix` are left to the app.

Sources: RFC 7239, section 8.1; https://adam-p.ca/blog/2022/03/x-forwarded-for/; nginx' real_ip_recursive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from hotplate.gateway.forwarded_fields import Claim, Hop, claim_of, is_forwarding
from hotplate.gateway.types import ASGIApp, Receive, Scope, Send

Field = tuple[bytes, bytes]
Fields = list[Field]
Trust = Callable[[str], bool]

_BELIEVED = frozenset((b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))
# As in hygiene: names that are learnt to be none of these cost one look-up; they are the client's to choose.
_MOST_LEARNT = 512
_LONGEST_LEARNT = 64
_other: set[bytes] = set()
# Longer fields are read anew each time: what is remembered is to stay below a megabyte.
_LONGEST_KEPT = 512
_SCHEMES = {
    ("http", "http"): "http",
    ("http", "https"): "https",
    ("websocket", "http"): "ws",
    ("websocket", "https"): "wss",
}


class Belief(NamedTuple):
    """What trusted proxies vouch for; None where they say nothing.

    Args:
        client: (address, port) of the client, port 0 where it is unknown.
        scheme: http or https.
        host: value for the Host field.
    """

    client: tuple[str, int] | None
    scheme: str | None
    host: bytes | None


Decide = Callable[[tuple[Field, ...]], tuple[Belief, Fields]]


def forwarded(app: ASGIApp, trusted_proxies: Sequence[str]) -> ASGIApp:
    """Return `app` behind the belief in forwarded headers.

    Needs neither loop nor thread.

    Args:
        app: the next layer.
        trusted_proxies: networks or addresses whose peers are believed, such as `10.0.0.0/8`.

    Raises:
        ValueError: a network cannot be parsed; the settings have checked them already.
    """
    trusts = trust(trusted_proxies)
    decide = _decider(trusts)

    def believe(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            for name, _value in scope["headers"]:
                if name not in _other and _is_forwarding(name):
                    _apply(scope, trusts, decide)
                    break
        return app(scope, receive, send)

    return believe


def trust(trusted_proxies: Sequence[str]) -> Trust:
    """Return whether an address belongs to a trusted proxy, remembered for the 4096 addresses seen last."""
    networks = [ip_network(network) for network in trusted_proxies]

    @lru_cache(maxsize=4096)
    def trusts(address: str) -> bool:
        return _within(address, networks)

    return trusts


def _within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # A socket that listens on :: sees IPv4 peers as ::ffff:a.b.c.d.
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def _is_forwarding(name: bytes) -> bool:
    if is_forwarding(name):
        return True
    if len(_other) < _MOST_LEARNT and len(name) <= _LONGEST_LEARNT:
        _other.add(name)
    return False


def _decider(trusts: Trust) -> Decide:
    """Return what decides on forwarding fields, remembered: clients send the same ones again and again."""

    def decide(fields: tuple[Field, ...]) -> tuple[Belief, Fields]:
        claim = claim_of(fields)
        belief = believed(claim, trusts)
        return belief, _vouched(fields, claim, belief, trusts)

    remembered = lru_cache(maxsize=1024)(decide)
    return lambda fields: (remembered if sum(len(value) for _name, value in fields) < _LONGEST_KEPT else decide)(fields)


def _apply(scope: Scope, trusts: Trust, decide: Decide) -> None:
    client = scope.get("client")
    headers: Fields = scope["headers"]
    said = tuple(field for field in headers if field[0] not in _other and _is_forwarding(field[0]))
    others = [field for field in headers if field[0] in _other or not _is_forwarding(field[0])]
    scope["headers"] = others
    if client is not None and not trusts(client[0]):
        return
    belief, vouched = decide(said)
    if belief.client is not None:
        scope["client"] = belief.client
    if belief.scheme is not None:
        scope["scheme"] = _SCHEMES[scope["type"], belief.scheme]
    if belief.host is not None:
        scope["headers"] = others = [(b"host", belief.host), *(field for field in others if field[0] != b"host")]
    others += vouched


def believed(claim: Claim, trusts: Trust) -> Belief:
    """Decide what of a trusted peer's words to take over.

    Args:
        claim: what the request's fields say.
        trusts: whether an address is a trusted proxy's.
    """
    place = _place_of_client(claim.hops, trusts)
    client = None
    if place is not None:
        hop = claim.hops[place]
        client = (hop.address, hop.port)
    back = len(claim.hops) - place if place is not None else 1
    return Belief(client, claim.scheme_at(back), claim.host_at(back))


def _place_of_client(said: Sequence[Hop], trusts: Trust) -> int | None:
    place = None
    for index in range(len(said) - 1, -1, -1):
        if not said[index].address:  # "unknown", an alias or nonsense: nothing further left can be checked
            break
        place = index
        if not trusts(said[index].address):
            break
    return place


def _vouched(said: tuple[Field, ...], claim: Claim, belief: Belief, trusts: Trust) -> Fields:
    """Return the forwarding fields without hearsay: of those that were believed, only the believed values."""
    kept = [field for field in said if field[0] not in _BELIEVED]
    place = _place_of_client(claim.hops, trusts)
    if place is not None:
        kept.append((b"x-forwarded-for", b", ".join(hop.address.encode() for hop in claim.hops[place:])))
    if belief.scheme is not None:
        kept.append((b"x-forwarded-proto", belief.scheme.encode()))
    if belief.host is not None:
        kept.append((b"x-forwarded-host", belief.host))
    return kept
