"""Kinds of setting that hold several values, and what a member of each may be."""

import ipaddress
from functools import partial
from typing import Protocol

import msgspec

from hotplate.settings.binds import BIND_HINT, DEFAULT_PORT, parse_bind
from hotplate.settings.kinds import OFF_WORDS, url_path
from hotplate.settings.refused import RefusedError

_NETWORK_HINT = "addresses or networks, such as 10.0.0.0/8 or ::1, or off for none"


class Item(Protocol):
    """What one member of a list can be."""

    def __call__(self, text: str, /) -> object:
        """Return the member, or raise `RefusedError`."""


class Listed(msgspec.Struct, frozen=True):
    """Several values: a flag given more than once, text with commas between them, or a list in a file.

    `separators` stand between them in a text where a comma may be part of a member; the first is written.

    `may_be_empty` lists are emptied by the word `off`, never by an empty text, which is more likely a mistake.
    """

    item: Item
    metavar: str
    right: str
    unit: str = "list"
    may_be_empty: bool = False
    separators: tuple[str, ...] = (",",)

    def parse(self, raw: object) -> tuple[object, ...]:
        """Return the members in their order, each once."""
        members = raw if isinstance(raw, list | tuple) else (raw,)
        if any(isinstance(member, bool) or not isinstance(member, str | int) for member in members):
            raise RefusedError("it is neither text nor a list of texts", self.right)
        texts = [text.strip() for member in members for text in self._split(str(member))]
        if self.may_be_empty and (not texts or (len(texts) == 1 and texts[0].lower() in OFF_WORDS)):
            return ()
        if not texts:
            raise RefusedError("the list is empty", self.right)
        return tuple(dict.fromkeys(self._member(text, len(texts)) for text in texts))

    def _split(self, text: str) -> list[str]:
        for other in self.separators[1:]:
            text = text.replace(other, self.separators[0])
        parts = text.split(self.separators[0])
        # A variable of several lines ends with one.
        return parts if len(self.separators) == 1 else [part for part in parts if part.strip()] or parts[:1]

    def _member(self, text: str, among: int) -> object:
        try:
            return self.item(text)
        except RefusedError as problem:
            if among == 1:
                raise
            raise RefusedError(f"{text!r} among them: {problem.cause}", problem.right) from None

    def show(self, value: object) -> str:
        """Write the members with what separates them between them."""
        if not isinstance(value, tuple):
            return str(value)
        return f"{self.separators[0]} ".join(map(str, value)) or "none"


def binds(default_port: int = DEFAULT_PORT) -> Listed:
    """Addresses to listen on; `default_port` is for a host that names none."""
    return Listed(partial(parse_bind, default_port=default_port), metavar="ADDRESS", right=BIND_HINT)


def url_paths() -> Listed:
    """Paths to send warm-up requests to."""
    return Listed(url_path, metavar="PATH", right="a path such as /, or off for no request", may_be_empty=True)


def networks() -> Listed:
    """Addresses and networks."""
    return Listed(_network, metavar="CIDR", right=_NETWORK_HINT, may_be_empty=True)


def _network(text: str) -> str:
    if text == "*":
        raise RefusedError("* is not a network", "0.0.0.0/0,::/0 if every address is really to be trusted")
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as problem:
        if "host bits" in str(problem):
            raise RefusedError(
                "bits are set beyond its prefix", str(ipaddress.ip_network(text, strict=False))
            ) from None
        raise RefusedError("it is not an address or network", _NETWORK_HINT) from None
