"""What is stale is asked about, refreshed behind the client's back, or served in place of an error, as it may be."""

from __future__ import annotations

import gzip
import threading
import zlib
from typing import Any

import pytest

from hotplate.cache.stores.local import LocalStore
from hotplate.gateway.caching import kit as cache_kit
from hotplate.gateway.types import Receive, Scope, Send
from tests.gateway.cache_site import Site, Views, eventually


class Time:
    """Wall-clock seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock of everything about the cache."""
    time = Time()
    made = cache_kit.kit_of

    def kit_of(*given: Any) -> cache_kit.Kit:
        from dataclasses import replace

        kit = made(*given)
        kit.cache.shelf._clock = time
        assert isinstance(kit.cache.store, LocalStore)
        kit.cache.store._clock = time
        return replace(kit, clock=time)

    monkeypatch.setattr("hotplate.gateway.pipeline.kit_of", kit_of)
    return time


def page(**directives: object) -> dict[str, str]:
    """Return the fields of a page."""
    said = ", ".join(
        name.replace("_", "-") + ("" if value is True else f"={value}") for name, value in directives.items()
    )
    return {"Content-Type": "text/html", "Cache-Control": f"public, {said}"}


def test_what_has_expired_is_made_anew(clock: Time) -> None:
    """Without leave to serve it stale, the next request waits for the app."""
    view = Views(page(max_age=60))
    with Site(view) as site:
        site.get("/")
        clock.now += 59
        assert site.get("/").fields["age"] == "59"
        clock.now += 2
        assert site.get("/").body == b"call 2"
        assert site.get("/").is_hit


def test_a_validator_saves_the_body(clock: Time) -> None:
    """The app is asked with If-None-Match; its 304 freshens what is stored, and the client gets the whole page."""
    calls: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ.get("HTTP_IF_NONE_MATCH"))
        fields = [("Cache-Control", "public, max-age=60"), ("ETag", '"v1"'), ("X-Number", str(len(calls)))]
        if calls[-1] == '"v1"':
            start_response("304 Not Modified", fields)
            return []
        start_response("200 OK", [*fields, ("Content-Length", "4")])
        return [b"page"]

    with Site(app) as site:
        site.get("/")
        clock.now += 61
        second = site.get("/")
        third = site.get("/")
        clock.now += 61
        client_has_it = site.get("/", if_none_match='"v1"')
    assert calls == [None, '"v1"', '"v1"']
    assert (second.status, second.body, second.fields["x-number"]) == (200, b"page", "2")
    assert third.is_hit
    assert third.fields["age"] == "0"
    assert client_has_it.status == 304


def test_a_304_about_another_response_is_asked_again(clock: Time) -> None:
    """An app that says 304 with a tag we do not have is asked without conditions."""
    calls: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ.get("HTTP_IF_NONE_MATCH"))
        fields = [("Cache-Control", "public, max-age=60"), ("ETag", f'"v{len(calls)}"')]
        if calls[-1]:
            start_response("304 Not Modified", fields)
            return []
        start_response("200 OK", [*fields, ("Content-Length", "4")])
        return [b"page"]

    with Site(app) as site:
        site.get("/")
        clock.now += 61
        again = site.get("/")
    assert calls == [None, '"v1"', None]
    assert (again.status, again.body, again.fields["etag"]) == (200, b"page", '"v3"')


@pytest.mark.parametrize("control", ["max-age=60", "max-age=60, stale-while-revalidate=600"])
def test_an_asgi_app_that_is_asked_again_gets_the_request_again(clock: Time, control: str) -> None:
    """It reads the (empty) body each time, for a client and in the background."""
    calls: list[bytes | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        calls.append(dict(scope["headers"]).get(b"if-none-match"))
        fields = [(b"cache-control", b"public, " + control.encode()), (b"etag", b'"v%d"' % len(calls))]
        await send({"type": "http.response.start", "status": 304 if calls[-1] else 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"" if calls[-1] else b"page"})

    with Site(app, "asgi") as site:
        site.get("/")
        clock.now += 61
        site.get("/")
        eventually(lambda: len(calls) == 3, "it is asked again")
        eventually(lambda: site.get("/").fields["etag"] == '"v3"', "the new one is served")
    assert calls == [None, b'"v1"', None]


def test_stale_while_revalidate_waits_for_nobody(clock: Time) -> None:
    """The stale page is served at once, one refresh runs behind it, and then the new page is served."""
    view = Views(page(max_age=60, stale_while_revalidate=30))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.gate.clear()
        stale = [site.get("/") for _ in range(20)]
        assert {answer.body for answer in stale} == {b"call 1"}
        assert "ttl=-10" in stale[0].cache
        view.until_called(2)
        assert site.metering.snapshot().in_flight == 1
        view.gate.set()
        site.quiet()
        fresh = site.get("/")
    assert (fresh.body, fresh.is_hit, view.count) == (b"call 2", True, 2)


def test_after_its_time_nobody_gets_the_stale_page(clock: Time) -> None:
    """Beyond the window the request waits."""
    view = Views(page(max_age=60, stale_while_revalidate=30))
    with Site(view) as site:
        site.get("/")
        clock.now += 91
        assert site.get("/").body == b"call 2"


def test_a_refresh_that_fails_is_tried_again_later(clock: Time) -> None:
    """The stale page goes on being served; the app is not asked by every request."""
    view = Views(page(max_age=60, stale_while_revalidate=300))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.raises = LookupError("for now")
        for _ in range(10):
            assert site.get("/").body == b"call 1"
            view.until_called(2)
            site.quiet()
        assert view.count == 2
        view.raises = None
        eventually(lambda: site.get("/").body != b"call 1", "it is tried again")


def test_a_refresh_that_learns_the_page_is_private_ends_the_stale_one(clock: Time) -> None:
    """Once the app has said something else, the old page is not served any more."""
    view = Views(page(max_age=60, stale_while_revalidate=300))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.fields = {"Cache-Control": "private"}
        assert site.get("/").body == b"call 1"
        view.until_called(2)
        site.quiet()
        assert site.get("/").body == b"call 3"


def test_a_refresh_set_off_by_a_visitor_with_a_cookie_leaks_nothing(clock: Time) -> None:
    """What the app then says is for him alone is not stored for others."""
    view = Views(page(max_age=60, stale_while_revalidate=300))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.fields = {"Cache-Control": "max-age=60"}  # no longer for everyone
        assert site.get("/", cookie="session=secret").body == b"call 1"
        view.until_called(2)
        site.quiet()
        assert view.calls[1]["HTTP_COOKIE"] == "session=secret"
        assert site.get("/").body != b"call 2"


def test_nothing_stale_is_served_after_an_invalidation(clock: Time) -> None:
    """Neither while it is refreshed nor in place of an error."""
    view = Views(page(max_age=60, stale_while_revalidate=300, stale_if_error=300))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        site.get("/", "POST")
        view.gate.clear()
        client = site.start("/")
        view.until_called(3)
        view.gate.set()
        assert client.answer().body == b"call 3"
        clock.now += 70
        site.get("/", "POST")
        view.raises = LookupError("now")
        assert site.get("/").status == 500


def test_an_invalidation_during_the_failing_call_counts(clock: Time) -> None:
    """What was invalidated while the app failed is not served in its place."""
    view = Views(page(max_age=60, stale_if_error=300))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.gate.clear()
        view.status = 503
        client = site.start("/")
        view.until_called(2)
        site.store.clear()
        view.gate.set()
        assert client.answer().status == 503


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_stale_if_error_takes_the_place_of_an_error(clock: Time, status: int) -> None:
    """The visitor gets the old page; after the window he gets the error."""
    view = Views(page(max_age=60, stale_if_error=100))
    with Site(view) as site:
        site.get("/")
        clock.now += 70
        view.status = status
        saved = site.get("/")
        clock.now += 100
        lost = site.get("/")
    assert (saved.status, saved.body, saved.fields["age"]) == (200, b"call 1", "70")
    assert f"fwd=stale; fwd-status={status}" in saved.cache
    assert lost.status == status


def test_stale_if_error_covers_an_app_that_raises(clock: Time) -> None:
    """An ASGI app that raises before it answers, and one that breaks off its error page."""
    calls: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise LookupError("now")
        if len(calls) == 3:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            raise LookupError("now")
        control = (b"cache-control", b"public, max-age=60, stale-if-error=600")
        await send({"type": "http.response.start", "status": 200, "headers": [control]})
        await send({"type": "http.response.body", "body": b"page"})

    with Site(app, "asgi") as site:
        site.get("/")
        clock.now += 70
        assert (site.get("/").status, site.get("/").body) == (200, b"page")
        clock.now += 2
        assert site.get("/").body == b"page"


@pytest.mark.parametrize("directive", ["must_revalidate", "no_cache"])
def test_what_must_be_revalidated_is_never_served_in_place_of_an_error(clock: Time, directive: str) -> None:
    """The error is the answer."""
    view = Views({**page(max_age=60, stale_if_error=600, **{directive: True}), "ETag": '"x"'})
    with Site(view, cache_profile="rfc") as site:
        site.get("/")
        clock.now += 70
        view.status = 503
        assert site.get("/").status == 503


def test_a_costly_page_is_made_anew_before_it_expires(clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near its end, by chance (XFetch), one request has it refreshed; nobody waits."""
    view = Views(page(max_age=60))
    with Site(view) as site:
        from hotplate.cache.policy import Use, Verdict
        from hotplate.gateway.caching import flow as cache_flow

        site.get("/")
        ready = site.cache.shelf.peek(next(iter(site.cache.shelf.memory._nodes)))
        assert ready is not None
        ready.plain_until = 0.0  # as if it had been costly
        clock.now += 50
        monkeypatch.setattr(cache_flow, "reuse", lambda *_given: Verdict(Use.EARLY, 50.0, 10.0))
        assert site.get("/").body == b"call 1"
        view.until_called(2)
        site.quiet()
        monkeypatch.undo()
        assert site.get("/").body == b"call 2"


def test_copies_are_made_in_the_background() -> None:
    """The first hits are compressed as they leave; then the stored copy is sent as it is, with a tag of its own."""
    body = b"<p>the same again and again</p>" * 200
    view = Views({**page(max_age=600), "ETag": '"v1"'}, body=body)
    with Site(view) as site:
        first = site.get("/", accept_encoding="gzip, br")
        assert first.fields["content-encoding"] == "br"
        eventually(lambda: _is_copied(site), "the copies are made")
        hit = site.get("/", accept_encoding="br")
        zipped = site.get("/", accept_encoding="gzip")
        eventually(lambda: len(_held(site).prepared.coded) == 2, "both are made")
        zipped = site.get("/", accept_encoding="gzip")
        plain = site.get("/")
        part = site.get("/", accept_encoding="br", range="bytes=0-9")
        same = site.get("/", accept_encoding="br", if_none_match=hit.fields["etag"])
    assert view.count == 1
    assert hit.is_hit
    assert hit.fields["etag"] == '"v1;br"'
    assert len(hit.body) < len(first.body) or hit.body != body
    assert gzip.decompress(zipped.body) == body
    assert zlib.decompress(zipped.body, wbits=31) == body
    assert (plain.body, plain.fields["etag"], plain.fields["vary"]) == (body, '"v1"', "Accept-Encoding")
    assert (part.status, part.body) == (206, body[:10])
    assert (same.status, same.fields["etag"]) == (304, '"v1;br"')


def _held(site: Site) -> Any:
    (ready,) = [node.value[0] for node in site.cache.shelf.memory._nodes.values()]
    return ready


def _is_copied(site: Site) -> bool:
    site.get("/", accept_encoding="br")
    return b"br" in _held(site).prepared.coded


def test_what_compressing_does_not_make_smaller_is_sent_as_it_is() -> None:
    """And it is not tried again by every hit."""
    import random

    body = random.Random(1).randbytes(5000)
    view = Views({**page(max_age=600), "Content-Type": "text/plain"}, body=body)
    with Site(view) as site:
        site.get("/", accept_encoding="br")
        site.get("/", accept_encoding="br")
        eventually(lambda: _held(site).hopeless == {b"br"}, "it was tried")
        client = site.start("/", fields={"accept-encoding": "br"})
        assert client.ended.done()
        assert client.answer().body == body
        assert threading.active_count() < 50
