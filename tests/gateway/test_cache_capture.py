"""A copy of a response is made only of what came whole, and the client gets every message as the app sent it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.caching.capture import Capture, Fate, Fields
from hotplate.gateway.types import Message
from tests.gateway.wire import Wire

LARGEST = 10


class Kept:
    """What a capture says, and the client's wire."""

    def __init__(self, fate: Fate = Fate.KEEP, answer: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self.wire = Wire()
        self.begun: list[tuple[int, Fields]] = []
        self.over: list[bytes | None] = []
        self.sent_before_over = -1
        self._fate = fate
        self._answer = answer
        self.capture = Capture(self.wire.send, LARGEST, self._begun, self._over)

    def _begun(self, status: int, fields: Fields) -> Fate:
        self.begun.append((status, fields))
        return self._fate

    def _over(self, body: bytes | None) -> Awaitable[None] | None:
        self.over.append(body)
        self.sent_before_over = len(self.wire.sent)
        return self._answer() if self._answer else None

    def send(self, messages: Iterable[Message]) -> None:
        """Send as an app does."""

        async def all_of_them() -> None:
            for message in messages:
                await self.capture(message)

        with pytest.raises(StopIteration):
            all_of_them().send(None)


def start(*fields: tuple[bytes, bytes], status: int = 200, **others: object) -> Message:
    """The start of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(fields), **others}


def part(body: bytes, *, more: bool = False) -> Message:
    """A part of its body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


blocks = st.lists(st.binary(max_size=6), min_size=1, max_size=5)


@given(blocks=blocks, declared=st.none() | st.integers(0, 12), fate=st.sampled_from(Fate), trailers=st.booleans())
def test_a_copy_is_the_whole_or_nothing(blocks: list[bytes], declared: int | None, fate: Fate, trailers: bool) -> None:
    """Whatever comes: the copy is what was announced and allowed, or there is none; the client gets all or nothing."""
    kept = Kept(fate)
    fields = [] if declared is None else [(b"Content-Length", b"%d" % declared)]
    messages = [start(*fields, trailers=trailers)]
    messages += [part(block, more=number < len(blocks)) for number, block in enumerate(blocks, 1)]
    kept.send(messages)
    body = b"".join(blocks)
    is_good = len(body) <= LARGEST and declared in {None, len(body)} and not trailers
    assert kept.over == ([] if fate is Fate.PASS else [body if is_good else None])
    assert kept.wire.sent == ([] if fate is Fate.HOLD else messages)
    assert kept.begun == [(200, [(name.lower(), value) for name, value in fields])]
    assert kept.capture.ended


@given(blocks=blocks, cut=st.integers(0, 5))
def test_a_response_without_its_end_is_never_a_copy(blocks: list[bytes], cut: int) -> None:
    """An app that fails, or whose client leaves, in the middle leaves nothing behind."""
    kept = Kept()
    messages = [start(), *(part(block, more=True) for block in blocks)][: cut + 1]
    kept.send(messages)
    assert kept.over == []
    assert not kept.capture.ended
    assert kept.wire.sent == messages


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend", "trailers"])
def test_what_the_data_plane_sends_by_itself_is_not_kept(kind: str) -> None:
    """Files and trailers pass."""
    kept = Kept()
    messages: list[Message] = [start(), {"type": f"http.response.{kind}", "path": "/x"}]
    if kind != "pathsend":
        messages.append(part(b""))
    kept.send(messages)
    assert kept.over == [None]
    assert kept.capture.spoilt
    assert kept.wire.sent == messages


@pytest.mark.parametrize(
    ("lengths", "status"), list(product([(b"3", b"4"), (b"-1",), (b"x",), (b"9" * 30,)], [200, 404]))
)
def test_a_length_that_makes_no_sense_is_no_length(lengths: tuple[bytes, ...], status: int) -> None:
    """Two lengths, or one that is no number, are not stored; the client gets what the app sent."""
    kept = Kept()
    kept.send([start(*((b"content-length", length) for length in lengths), status=status), part(b"abc")])
    assert kept.over == [None]


def test_a_response_without_content_may_declare_its_length() -> None:
    """304 names the length of what it does not send (RFC 9110, section 8.6)."""
    kept = Kept(Fate.HOLD)
    kept.send([start((b"content-length", b"5"), status=304), part(b"")])
    assert kept.over == [b""]


def test_it_is_kept_before_the_client_has_it() -> None:
    """A client that has its answer and asks again finds it stored."""
    kept = Kept()
    kept.send([start(), part(b"a", more=True), part(b"b")])
    assert kept.over == [b"ab"]
    assert kept.sent_before_over == 2


def test_our_own_answer_takes_the_place_of_what_is_held_back() -> None:
    """The client gets it when the app's has ended, though the app goes on."""

    async def ours() -> None:
        await kept.wire.send(start(status=304))

    kept = Kept(Fate.HOLD, ours)
    kept.send([start(status=304), part(b""), part(b"once too often")])
    assert kept.wire.sent == [start(status=304)]


def test_early_hints_pass() -> None:
    """What is no part of the response goes on."""
    kept = Kept()
    hint: Message = {"type": "http.response.early_hint", "links": [b"</x.css>"]}
    kept.send([hint, start(), part(b"")])
    assert kept.wire.sent[0] == hint
    assert kept.over == [b""]
