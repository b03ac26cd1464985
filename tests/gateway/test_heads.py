"""A list of header fields seen before costs one look, and lets nothing through that its first request was not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway import heads as module
from hotplate.gateway.heads import LONGEST, Heads
from hotplate.gateway.hygiene import hygiene
from hotplate.gateway.limits import Limits
from hotplate.gateway.types import Receive, Scope, Send
from hotplate.gateway.wsgi.environ import environ_of

HOST = (b"host", b"a.example")


def scope_of(headers: list[tuple[bytes, bytes]], **changes: Any) -> Scope:
    """Return a request with these fields."""
    target = {"path": "/", "raw_path": b"/", "query_string": b""}
    return {"type": "http", "http_version": "1.1", "method": "GET", **target, "headers": headers, **changes}


def ways(*scopes: Scope) -> list[str]:
    """Send requests through one hygiene; return which way each took: plain, other or refused."""
    taken: list[str] = []

    def to(name: str) -> Any:
        async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
            taken.append(name)

        return app

    async def send(_message: Any) -> None:
        if len(taken) < len(sent):
            taken.append("refused")

    front = hygiene(to("other"), Limits(), plain=to("plain"))
    sent: list[Scope] = []
    for scope in scopes:
        sent.append(scope)
        answering: Any = front(scope, None, send)  # type: ignore[arg-type]  # nobody receives
        with pytest.raises(StopIteration):
            answering.send(None)
    return taken


def test_a_repeated_list_takes_the_plain_way() -> None:
    """The host is learnt by the first, the list by the second, and the third is plain."""
    assert ways(*(scope_of([HOST, (b"accept", b"*/*")]) for _ in range(4)))[-1] == "plain"


@pytest.mark.parametrize(
    ("change", "way"),
    [
        ({"method": "POST"}, "other"),
        ({"http_version": "2"}, "other"),
        ({"http_version": "1.0"}, "other"),
        ({"type": "websocket"}, "refused"),
        ({"method": "GET /x"}, "refused"),
        ({"path": "*", "raw_path": b"*"}, "refused"),
        ({"raw_path": b"/%"}, "refused"),
        ({"raw_path": b"/\xff"}, "refused"),
        ({"query_string": b"\xff"}, "refused"),
        ({"raw_path": b"/" + b"a" * 9000}, "refused"),
    ],
)
def test_known_fields_vouch_for_fields_only(change: dict[str, Any], way: str) -> None:
    """Method, version, target and kind are judged each time."""
    known = [scope_of([HOST]) for _ in range(3)]
    if change.get("type") == "websocket":
        change = {**change, "http_version": "1.0"}
    assert ways(*known, scope_of([HOST], **change))[3:] == [way]


@pytest.mark.parametrize(
    "field",
    [
        (b"content-length", b"0"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-forwarded-anything", b"1"),
        (b"forwarded", b"for=1.2.3.4"),
        (b"x-real-ip", b"1.2.3.4"),
        (b"accept", b"a" * (LONGEST + 1)),
    ],
)
def test_what_needs_another_look_is_never_plain(field: tuple[bytes, bytes]) -> None:
    """Bodies, words of proxies and long values are looked at each time."""
    assert set(ways(*(scope_of([HOST, field]) for _ in range(5)))) == {"other"}


@given(st.lists(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=3), max_size=40))
def test_what_is_kept_is_bounded(lists: list[list[tuple[bytes, bytes]]]) -> None:
    """However many lists come, only so many are kept, and the latest is among them."""
    heads = Heads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", 5)
        for fields in lists:
            heads.learn(fields)
            assert heads.find(fields) is not None
            assert len(heads._known) <= 5


def test_lists_of_other_servers_are_no_fault() -> None:
    """ASGI lets a server give a field as a list, which cannot be a key."""
    heads = Heads()
    fields: Any = [[b"host", b"a"]]
    heads.learn(fields)
    assert heads.find(fields) is None


def test_an_environ_of_a_known_head_is_the_same_and_ones_own() -> None:
    """What one request's app does to its environ is not seen by the next request."""
    heads = Heads()
    fields = [HOST, (b"cookie", b"a=1"), (b"x-some", b"1"), (b"x-some", b"2")]
    heads.learn(fields)
    plain = environ_of(scope_of(fields))
    for _ in range(3):
        environ = environ_of(scope_of(fields, **{"hotplate.head": heads.find(fields)}))
        assert environ == plain
        environ.clear()
