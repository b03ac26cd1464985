"""Reads what proxies write about a request: `X-Forwarded-*`, and `Forwarded` (RFC 7239). Nothing is believed here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from hotplate.gateway.request_rules import host_fault

Fields = Sequence[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[^"\\]|\\.)*"'
# One parameter with what ends it; what does not match at its place ends the reading (RFC 7239, section 4).
_PARAMETER = re.compile(rb"[ \t]*(?:(%s)=(%s|%s))?[ \t]*([;,]|$)" % (_TOKEN, _TOKEN, _QUOTED))
# An address with an optional port: 192.0.2.1, 192.0.2.1:80, [2001:db8::1]:80, 2001:db8::1.
_NODE = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([0-9]{1,5}))?")


_OTHERS = frozenset((b"forwarded", b"x-real-ip", b"x-scheme", b"x-url-scheme", b"front-end-https"))
_FAMILY = b"x-forwarded-"


def is_forwarding(name: bytes) -> bool:
    """Whether a field of this name tells what only a proxy can know."""
    return name.startswith(_FAMILY) or name in _OTHERS


class Hop(NamedTuple):
    """Who spoke to a proxy: an address, empty where it names none, and a port, 0 where it is unknown."""

    address: str
    port: int


class Claim(NamedTuple):
    """What a request's fields say, oldest first.

    Args:
        hops: who spoke to each proxy.
        schemes: what each was asked by, as written.
        hosts: whom each was asked for, as written.
    """

    hops: tuple[Hop, ...] = ()
    schemes: tuple[bytes, ...] = ()
    hosts: tuple[bytes, ...] = ()

    def scheme_at(self, back: int) -> str | None:
        """Return http or https as said at the hop that is `back` from the end, 1 being the last; else None."""
        scheme = self._at(self.schemes, back).lower()
        return scheme.decode() if scheme in {b"http", b"https"} else None

    def host_at(self, back: int) -> bytes | None:
        """Return the host as said at that hop, if it is a host at all."""
        host = self._at(self.hosts, back)
        return host if host and host_fault(host) is None else None

    def _at(self, said: tuple[bytes, ...], back: int) -> bytes:
        """Return what was said at a hop or, if nothing was, nearest to its right.

        Proxies that replace the field instead of appending leave fewer values than hops: then the last one counts,
        which the nearest proxy wrote.
        """
        if len(said) != len(self.hops):
            return said[-1] if said else b""
        return next((value for value in said[len(said) - back :] if value), b"")


def claim_of(headers: Fields) -> Claim:
    """Read the fields of a request: `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded` if it has none of them."""
    chain = values(headers, b"x-forwarded-for")
    schemes = values(headers, b"x-forwarded-proto")
    hosts = values(headers, b"x-forwarded-host")
    if chain or schemes or hosts:
        return Claim(tuple(map(hop_of, chain)), tuple(schemes), tuple(hosts))
    return _forwarded(b", ".join(value for name, value in headers if name == b"forwarded"))


def values(headers: Fields, name: bytes) -> list[bytes]:
    """Return the members of a list field, which may be sent in several lines (RFC 9110, section 5.3)."""
    lines = [value for other, value in headers if other == name]
    return [member.strip(b" \t") for line in lines for member in line.split(b",")]


def hop_of(node: bytes) -> Hop:
    """Read an address with an optional port; whatever else stands there becomes a hop without an address."""
    text = node.decode("latin-1")
    parts = None if text.count(":") > 1 and "[" not in text else _NODE.fullmatch(text)
    address = text if parts is None else parts[1] or parts[2] or ""
    port = int(parts[3] or 0) if parts is not None else 0
    if "%" in address or port > 65535:
        return Hop("", 0)
    try:
        return Hop(str(ip_address(address)), port)
    except ValueError:
        return Hop("", 0)


def _forwarded(text: bytes) -> Claim:
    elements = _elements(text)
    return Claim(
        tuple(hop_of(element.get(b"for", b"")) for element in elements),
        tuple(element.get(b"proto", b"") for element in elements),
        tuple(element.get(b"host", b"") for element in elements),
    )


def _elements(text: bytes) -> list[dict[bytes, bytes]]:
    """Return the parameters of each element, or nothing at all where the grammar is broken or a parameter repeated.

    What cannot be read may be where a client ended a value early, to put words into a proxy's mouth.
    """
    element: dict[bytes, bytes] = {}
    read: list[dict[bytes, bytes]] = []
    place = 0
    while place < len(text):
        found = _PARAMETER.match(text, place)
        if found is None or (found[1] or b"").lower() in element:
            return []
        if found[1]:
            element[found[1].lower()] = _unquoted(found[2])
        if found[3] != b";":
            read.append(element)
            element = {}
        if found.end() == place:
            break
        place = found.end()
    return [entry for entry in read if entry]


def _unquoted(value: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL) if value.startswith(b'"') else value
