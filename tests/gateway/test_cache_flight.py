"""One asks the app and the others wait: whatever becomes of the one, nobody is left waiting, and nobody is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotplate.cache.stores.base import Look
from hotplate.cache.stores.local import LocalStore
from hotplate.gateway.types import Receive, Scope, Send
from hotplate.gateway.watchdog import Watchdog
from tests.gateway.cache_site import PATIENCE, Site, Views, eventually

PAGE = {"Content-Type": "text/html", "Cache-Control": "public, max-age=60"}
PRIVATE = {"Content-Type": "text/html", "Cache-Control": "private"}


class SlowStore(LocalStore):
    """A store across a network: looks are answered by another thread."""

    is_slow = True
    is_shared = True

    def look_soon(self, key: bytes, told: Callable[[Look], None]) -> None:
        """Look in a thread, and tell there."""
        import threading

        threading.Thread(target=lambda: told(self.look(key))).start()


def stores() -> list[Any]:
    """Every kind of store the layer treats differently."""
    return [pytest.param(LocalStore, id="quick"), pytest.param(SlowStore, id="slow")]


@pytest.mark.parametrize("kind", stores())
def test_many_at_once_are_one_call(kind: type[LocalStore]) -> None:
    """Of 1000 that ask for one key, one reaches the app, and all get what it got."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view, store=kind(10_000_000)) as site:
        clients = site.many(1000)
        view.until_called(1)
        eventually(lambda: site.cache.flights.waiting == 999, "the others wait")
        view.gate.set()
        answers = [client.answer() for client in clients]
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"call 1")}
    assert view.count == 1
    assert sum("collapsed" in answer.cache for answer in answers) == 999


@pytest.mark.parametrize("kind", stores())
def test_waiters_take_no_threads(kind: type[LocalStore]) -> None:
    """While hundreds wait for a page, the only other thread answers another page."""
    view = Views(PAGE)
    view.gate.clear()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/other":
            start_response("200 OK", [("Content-Length", "5")])
            return [b"other"]
        status, fields, body = view(environ)
        start_response(f"{status} OK", list(fields.items()))
        return [body]

    with Site(app, store=kind(10_000_000), threads=2) as site:
        clients = site.many(300)
        view.until_called(1)
        assert site.get("/other").body == b"other"
        view.gate.set()
        assert {client.answer().body for client in clients} == {b"call 1"}


@pytest.mark.parametrize("kind", stores())
def test_what_turns_out_to_be_nobody_elses_is_not_queued_for(kind: type[LocalStore]) -> None:
    """The waiters all go to the app at once, none gets another one's answer, and the next ones do not queue."""
    view = Views(PRIVATE)
    view.gate.clear()
    with Site(view, store=kind(10_000_000)) as site:
        clients = site.many(20)
        view.until_called(1)
        eventually(lambda: site.cache.flights.waiting == 19, "the others wait")
        view.gate.set()
        bodies = [client.answer().body for client in clients]
        assert len(set(bodies)) == 20
        view.gate.clear()
        later = site.many(8)
        view.until_called(28)
        assert site.cache.flights.waiting == 0
        view.gate.set()
        assert len({client.answer().body for client in later}) == 8


def test_a_view_that_raises_ends_the_wait() -> None:
    """Its own client gets the 500; the others ask the app themselves."""
    view = Views(PAGE)
    view.gate.clear()
    view.raises = LookupError("the first time")
    with Site(view) as site:
        clients = site.many(10)
        view.until_called(1)
        eventually(lambda: site.cache.flights.waiting == 9, "the others wait")
        view.gate.set()
        first = clients[0].answer()
        view.raises = None
        statuses = sorted(client.answer().status for client in clients[1:])
    assert first.status == 500
    assert set(statuses) <= {200, 500}
    assert view.count >= 2


def test_a_client_that_leaves_does_not_take_the_others_with_it() -> None:
    """The page is made, kept, and given to those who waited."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view) as site:
        clients = site.many(10)
        view.until_called(1)
        eventually(lambda: site.cache.flights.waiting == 9, "the others wait")
        clients[0].leave()
        view.gate.set()
        assert {client.answer().body for client in clients[1:]} == {b"call 1"}
    assert view.count == 1


def test_a_stream_that_breaks_off_is_not_kept_and_somebody_else_tries() -> None:
    """An ASGI app whose first client leaves in the middle: the next one makes the page anew."""
    calls: list[asyncio.Event] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        go_on = asyncio.Event()
        loops.append(asyncio.get_running_loop())
        calls.append(go_on)
        number = len(calls)
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public, max-age=60")]}
        )
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if number == 1:
            await asyncio.wait_for(go_on.wait(), PATIENCE)
        await send({"type": "http.response.body", "body": b" and half"})

    with Site(app, "asgi") as site:
        first = site.start("/")
        eventually(lambda: calls and first.seen().body == b"half", "half of it has come")
        others = site.many(5)
        eventually(lambda: site.cache.flights.waiting == 5, "the others wait")
        first._left = None
        first.gone = True  # what is sent now raises
        loops[0].call_soon_threadsafe(calls[0].set)
        assert {client.answer().body for client in others} == {b"half and half"}
    # The first was whole as far as the app is concerned: only the way to its client was not.
    assert len(calls) in {1, 2}


def test_a_response_shorter_than_it_said_is_not_kept() -> None:
    """Every request makes it anew."""
    calls: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        fields = [(b"cache-control", b"public, max-age=60"), (b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"short"})

    with Site(app, "asgi") as site:
        site.get("/")
        assert not site.get("/").is_hit
    assert len(calls) == 2


def test_an_app_that_ends_without_an_end_keeps_nobody_waiting() -> None:
    """An ASGI app that returns in the middle of its answer: others go on, one after the other."""
    calls: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})

    with Site(app, "asgi") as site:
        clients = site.many(4)
        for client in clients:
            client.ended.result(PATIENCE)
    assert len(calls) == 4


def test_more_than_may_wait_ask_the_app() -> None:
    """The queue is bounded; who finds it full is served all the same, and stores nothing."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view) as site:
        site.cache.flights.most_waiting = 3
        clients = site.many(6)
        view.until_called(3)
        assert site.cache.flights.waiting == 3
        view.gate.set()
        assert all(client.answer().status == 200 for client in clients)
    assert view.count == 3


def test_the_wait_is_bounded() -> None:
    """Who has waited `cache_wait` asks the app, which may have hung for the first one only."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view, cache_wait=0.05) as site:
        first, second = site.start("/"), site.start("/")
        view.until_called(2)
        view.gate.set()
        assert {first.answer().status, second.answer().status} == {200}


def test_a_page_that_was_invalidated_while_it_was_made_is_not_kept() -> None:
    """Its own client gets it; the next request asks the app."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view) as site:
        client = site.start("/")
        view.until_called(1)
        site.store.clear()
        view.gate.set()
        assert client.answer().body == b"call 1"
        assert site.get("/").body == b"call 2"
        assert site.get("/").is_hit


def test_visitors_with_cookies_share_a_public_page_that_has_expired() -> None:
    """Once a page is known to be for everyone, they wait for it like others; before, each asks for itself."""
    view = Views(PAGE)
    with Site(view) as site:
        view.gate.clear()
        first = [site.start("/", fields={"cookie": f"session={number}"}) for number in range(3)]
        view.until_called(3)
        view.gate.set()
        assert len({client.answer().body for client in first}) == 3
        site.store.clear()
        view.gate.clear()
        second = [site.start("/", fields={"cookie": f"session={number}"}) for number in range(10)]
        eventually(lambda: site.cache.flights.waiting == 9, "they wait")
        view.gate.set()
        assert {client.answer().body for client in second} == {b"call 4"}


def test_who_waits_for_a_page_that_turns_private_gets_his_own() -> None:
    """The answer to one visitor is never the answer to another, though they waited for it."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/")
        site.store.clear()
        view.fields = {"Cache-Control": "max-age=60"}  # from now on not for everyone
        view.gate.clear()
        clients = [site.start("/", fields={"cookie": f"session={number}"}) for number in range(5)]
        eventually(lambda: site.cache.flights.waiting == 4, "they wait")
        view.gate.set()
        assert len({client.answer().body for client in clients}) == 5


def test_a_hung_view_holds_up_only_the_first_ones() -> None:
    """Once somebody has waited in vain, others do not queue for the same page any more."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view, cache_wait=0.3) as site:
        first, second = site.start("/"), site.start("/")
        view.until_called(2)
        eventually(lambda: site.cache.flights.waiting == 0, "nobody waits")
        third = site.start("/")
        view.until_called(3)
        assert site.cache.flights.waiting == 0
        view.gate.set()
        assert {client.answer().status for client in (first, second, third)} == {200}


def test_under_another_server_it_is_the_same() -> None:
    """`hotplate.asgi` has the cache, single flight and the background refresh as well."""
    import hotplate
    from tests.gateway.cache_site import Client, view_app

    view = Views({**PAGE, "Cache-Control": "public, max-age=60"})
    app = hotplate.asgi(view_app(view), threads=4)

    async def ask(count: int) -> list[Client]:
        clients = [Client({"type": "http.request", "body": b"", "more_body": False}) for _ in range(count)]
        await asyncio.gather(*(app(Site.scope("/hosted"), each.receive, each.send) for each in clients))
        return clients

    async def all_of_it() -> None:
        together = [each.seen() for each in await ask(20)]
        assert {answer.body for answer in together} == {b"call 1"}
        (hit,) = await ask(1)
        assert hit.seen().is_hit

    asyncio.run(all_of_it())
    assert view.count == 1


def test_what_comes_after_a_time_out_is_not_kept() -> None:
    """The client has its 504; what the app says in the end is nobody's, and those who waited ask for themselves."""
    view = Views(PAGE)
    view.gate.clear()
    with Site(view) as site:
        first, second = site.start("/"), site.start("/")
        view.until_called(1)
        eventually(lambda: site.cache.flights.waiting == 1, "the other one waits")
        hung = next(iter(site.metering.in_flight))
        asyncio.run_coroutine_threadsafe(
            Watchdog(site.metering, 1e-9, lambda *_told: None).end(hung), site.loop
        ).result(PATIENCE)
        view.gate.set()
        assert first.answer().status == 504
        assert second.answer().body == b"call 2"
        assert site.get("/").body != b"call 1"
