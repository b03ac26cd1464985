"""Compresses responses on their way to the client.

A whole response is compressed in one go, a stream part by part, each of them flushed so that nothing waits for what
comes after it. Outside the cache: that keeps the app's own bytes, and sends its stored variants past this layer.
"""

from __future__ import annotations

from asyncio import _get_running_loop as running_loop
from collections.abc import Awaitable, Callable

from hotplate.cache.http.etags import held, stripped
from hotplate.compression import filler
from hotplate.compression.codings import CODINGS, Coding, Encoder
from hotplate.compression.negotiate import Negotiator
from hotplate.gateway.compressing_fields import Facts, in_coding, look, varied, with_tag
from hotplate.gateway.compressing_threads import Threads
from hotplate.gateway.poolthread import here
from hotplate.gateway.scopes import NOTHING
from hotplate.gateway.types import ASGIApp, Message, Receive, Scope, Send
from hotplate.gateway.wsgi.host import Host
from hotplate.settings import Settings

Fields = list[tuple[bytes, bytes]]

_TAGS = frozenset({b"if-none-match", b"if-match"})
_READ = _TAGS | {b"accept-encoding", b"cookie", b"authorization"}
_START, _BODY = "http.response.start", "http.response.body"
_READ_BY_THE_SERVER = frozenset(("http.response.pathsend", "http.response.zerocopysend"))


class Compressor:
    """Compresses a worker's responses; made by `compressing`.

    Args:
        offered: names of codings, the preferred one first; empty for none.
        smallest: bytes of the smallest body that is compressed.
        host: takes a large body off the data plane's thread; without one it is compressed where it is.

    Attributes:
        offered: as above, less those that this Python lacks.
        smallest: as above.
    """

    def __init__(self, offered: tuple[bytes, ...], smallest: int, host: Host | None = None) -> None:
        self.offered = tuple(coding for coding in offered if coding in CODINGS)
        self.smallest = smallest
        self._negotiator = Negotiator(self.offered)
        self._host = host
        self._threads = Threads()

    def acceptable(self, accept_encoding: bytes | None) -> tuple[bytes, ...]:
        """Return the codings that a client would rather have than none, the best first; measured, 0.1 microseconds.

        Args:
            accept_encoding: value of its field; None for none.
        """
        return self._negotiator.acceptable(accept_encoding)

    def outward(self, scope: Scope, send: Send) -> Send:
        """Return what the app is to send a request's response through; `send` itself where nothing can be compressed.

        The request's fields are put into `scope` anew where a coding's suffix is to be taken off a tag.
        """
        if not self.offered or scope["type"] != "http":
            return send
        accepted: bytes | None = None
        tags = b""
        secret = False
        for name, value in scope["headers"]:
            if name in _READ:
                if name == b"accept-encoding":
                    accepted = value if accepted is None else accepted + b"," + value
                elif name in _TAGS:
                    if b";" in value:
                        tags += b"," + value if tags else value
                else:
                    secret = True
        if tags:
            scope["headers"] = [(name, stripped(value) if name in _TAGS else value) for name, value in scope["headers"]]
            scope.pop("hotplate.head", None)  # it is of the fields as they came
        codings = self._negotiator.acceptable(accepted)
        return _Outward(self, send, scope["method"], codings, tags, secret)

    async def compress(self, coding: Coding, body: bytes, padding: int) -> bytes:
        """Return `body` in a coding, without holding up a loop or the data plane."""
        if len(body) <= coding.quick:
            return coding.live(body, padding)
        return await self.away(lambda: coding.live(body, padding))

    async def away(self, work: Callable[[], bytes]) -> bytes:
        """Do what takes longer than a loop or the data plane may be held up for."""
        loop = running_loop()
        if loop is not None:
            # Not `Host.call`: an app may send from a task of its own, and must find itself on the loop afterwards.
            return await self._threads.run(loop, work)
        if here.thread is None and self._host is not None:
            return await self._host.call(work)
        return work()


class _Outward:
    """The `send` of one request.

    A response's start is kept back until it is known whether its body comes whole.
    """

    __slots__ = ("_codings", "_compressor", "_encoder", "_held", "_method", "_quick", "_secret", "_send",
                 "_tags", "_unsized")  # fmt: skip

    def __init__(
        self,
        compressor: Compressor,
        send: Send,
        method: str,
        codings: tuple[bytes, ...],
        tags: bytes,
        secret: bool,  # noqa: FBT001  # made in one place, once per request
    ) -> None:
        self._compressor = compressor
        self._send = send
        self._method = method
        self._codings = codings
        self._tags = tags
        self._secret = secret
        self._held: tuple[Message, Facts] | None = None
        self._encoder: Encoder | None = None
        self._quick = 0
        self._unsized = False

    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == _BODY:
            if self._held is not None:
                return self._first(self._held, message)
            if self._encoder is not None:
                return self._next(self._encoder, message)
            if self._unsized:
                # The server would tell the plain body's length, which no GET has.
                return self._send({**message, "body": b""})
        elif kind == _START:
            return self._begin(message)
        elif self._held is not None and kind in _READ_BY_THE_SERVER:
            return self._plain(self._held[0], message)
        return self._send(message)

    def _begin(self, message: Message) -> Awaitable[None]:
        fields = message.get("headers", ())
        if type(fields) is not list:
            fields = list(fields)
        status = message["status"]
        if status == 304 and self._tags:
            return self._send({**message, "headers": with_tag(fields, lambda tag: held(self._tags, tag))})
        facts = look(status, fields)
        if facts is None or -1 < facts.length < self._compressor.smallest:
            return self._send(message)
        if not self._codings:
            return self._send({**message, "headers": varied(fields)})
        if self._method == "HEAD":
            self._unsized = True
            return self._send({**message, "headers": in_coding(fields, self._codings[0], None)})
        self._held = {**message, "headers": fields}, facts
        return NOTHING

    def _first(self, held_back: tuple[Message, Facts], message: Message) -> Awaitable[None]:
        start, facts = held_back
        self._held = None
        body = message.get("body") or b""
        if not message.get("more_body") or (facts.length == len(body) and body):
            if len(body) < self._compressor.smallest:
                return self._plain(start, message)
            return self._whole(start, message, body)
        coding = self._for_stream()
        if coding is None:
            return self._plain(start, message)
        self._encoder = coding.stream(facts.is_event_stream)
        self._quick = coding.quick
        start["headers"] = in_coding(start["headers"], coding.name, None)
        return self._both(start, self._next(self._encoder, message))

    def _for_stream(self) -> Coding | None:
        """Return the coding for a stream: where filler is due, one that can carry it."""
        for name in self._codings:
            if CODINGS[name].pads_streams or not self._secret:
                return CODINGS[name]
        return None

    async def _whole(self, start: Message, message: Message, body: bytes) -> None:
        coding = CODINGS[self._codings[0]]
        padding = filler.of_body(body) if self._secret else 0
        compressed = await self._compressor.compress(coding, bytes(body), padding)
        if len(compressed) >= len(body):
            await self._plain(start, message)
            return
        start["headers"] = in_coding(start["headers"], coding.name, len(compressed))
        await self._send(start)
        await self._send({**message, "body": compressed})

    async def _next(self, encoder: Encoder, message: Message) -> None:
        body = bytes(message.get("body") or b"")
        more = message.get("more_body")
        write = encoder.write if more else encoder.end
        if len(body) <= self._quick:
            compressed = write(body)
        else:
            compressed = await self._compressor.away(lambda: write(body))
        if self._secret and more:
            compressed += encoder.pad(filler.of_part())
        await self._send({**message, "body": compressed})

    async def _both(self, start: Message, rest: Awaitable[None]) -> None:
        await self._send(start)
        await rest

    async def _plain(self, start: Message, message: Message) -> None:
        self._held = None
        start["headers"] = varied(start["headers"])
        await self._send(start)
        await self._send(message)


def compressing(settings: Settings, host: Host | None = None) -> Compressor:
    """Return what compresses a worker's responses as the settings have it.

    Args:
        settings: `compress`, `compress_min` and `compress_codings` are read.
        host: see `Compressor`.
    """
    offered = tuple(coding.encode() for coding in settings.compress_codings) if settings.compress else ()
    return Compressor(offered, settings.compress_min, host)


def layer(app: ASGIApp, compressor: Compressor) -> ASGIApp:
    """Return `app` with its responses compressed; `app` itself where no coding is offered."""
    if not compressor.offered:
        return app
    outward = compressor.outward

    def compressed(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return app(scope, receive, outward(scope, send))

    return compressed
