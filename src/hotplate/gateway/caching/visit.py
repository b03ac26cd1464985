"""One request on its way past the cache."""

from __future__ import annotations

from hotplate.cache.http.answer import Conditions, conditions
from hotplate.cache.key import Key
from hotplate.cache.policy import Passage
from hotplate.gateway.scopes import first, raw_path
from hotplate.gateway.types import Receive, Scope, Send


class Visit:
    """What the layer knows of a request that was no plain hit.

    Args:
        scope: as ASGI has it.
        receive: as ASGI has it.
        send: towards the client, below compression.
        passage: what the request allows.
        key: of its URL.
        now: wall-clock seconds when it came.

    Attributes:
        at: the key under which its response was found or is stored.
        method: of the request.
        headers: of the request, as they came.
        asked: its conditions, None for none.
        collapsed: whether it has waited for another one's answer.
        has_sent: whether its client has been sent something by us.
        is_out: whether the app has been called, or the client sent something: from there on nothing can be begun anew.
    """

    __slots__ = ("asked", "at", "collapsed", "has_sent", "headers", "is_out", "key", "method", "now", "passage",
                 "receive", "scope", "send")  # fmt: skip

    def __init__(  # made in one place, once per request
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        passage: Passage,
        key: Key,
        now: float,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.passage = passage
        self.key = self.at = key
        self.now = now
        self.method: str = scope["method"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.asked: Conditions | None = conditions(self.headers) if passage.has_condition or passage.has_range else None
        self.collapsed = self.is_out = self.has_sent = False

    @property
    def marker(self) -> bytes:
        """Name of the marker: what is refused to the one who has a cookie may be stored for others."""
        return self.key.digest + b"p" if self.passage.is_personal else self.key.digest

    @property
    def path(self) -> bytes:
        """Name of the marker of all requests for the same path, whatever their query."""
        return path_marker(self.scope, self.host, is_personal=self.passage.is_personal)

    @property
    def raw_path(self) -> bytes:
        """The path as it was sent."""
        return raw_path(self.scope)

    @property
    def host(self) -> bytes:
        """Value of the Host field."""
        return first(self.headers, b"host")


def path_marker(scope: Scope, host: bytes, *, is_personal: bool) -> bytes:
    """Return the name of the marker of all requests for a path, whatever their query."""
    return b"%d\0%b\0%b" % (is_personal, host, raw_path(scope))
