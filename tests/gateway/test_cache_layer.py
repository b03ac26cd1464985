"""The response cache through the whole pipeline: what is answered from it, what is not, and what it stores."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.gateway.cache_site import Site, Views

PAGE = {"Content-Type": "text/html", "Cache-Control": "max-age=60"}
PUBLIC = {"Content-Type": "text/html", "Cache-Control": "public, max-age=60"}


def test_what_the_app_declares_is_answered_from_memory() -> None:
    """The second request does not reach the app, and is told its age."""
    view = Views(PAGE)
    with Site(view) as site:
        first, second = site.get("/"), site.get("/")
    assert view.count == 1
    assert (first.body, second.body) == (b"call 1", b"call 1")
    assert second.status == 200
    assert second.fields["age"] in {"0", "1"}
    assert second.is_hit
    assert first.cache == ""
    assert "age" not in first.fields


def test_a_hit_takes_no_loop_and_no_thread() -> None:
    """It is answered before `start` returns, on the thread that asked."""
    with Site(Views(PAGE)) as site:
        site.get("/")
        finished = site.pool.finished
        client = site.start("/")
        assert client.ended.done()
        assert client.seen().is_hit
        assert site.pool.finished == finished


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Type": "text/html"},
        {"Cache-Control": "private, max-age=60"},
        {"Cache-Control": "no-store"},
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "max-age=60", "Set-Cookie": "a=b"},
        {"Cache-Control": "public, max-age=60", "Set-Cookie": "a=b"},
        {"Cache-Control": "max-age=60", "Vary": "*"},
    ],
)
def test_what_is_not_declared_is_never_kept(fields: dict[str, str]) -> None:
    """Every request reaches the app."""
    view = Views(fields)
    with Site(view) as site:
        assert [site.get("/").body for _ in range(3)] == [b"call 1", b"call 2", b"call 3"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_reach_the_app(method: str) -> None:
    """Only GET and HEAD are answered from the cache."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/")
        assert site.get("/", method).body == b"call 2"


def test_head_is_answered_from_a_stored_get() -> None:
    """It has the length and no body; a HEAD itself stores nothing."""
    view = Views(PAGE)
    with Site(view) as site:
        assert site.get("/", "HEAD").body == b""
        site.get("/")
        head = site.get("/", "HEAD")
    assert view.count == 2
    assert (head.status, head.body, head.fields["content-length"]) == (200, b"", "6")
    assert head.is_hit


def test_conditional_and_range_requests_are_answered_from_the_stored_response() -> None:
    """304 and 206 come from a stored 200."""
    view = Views({**PAGE, "ETag": '"v1"'})
    with Site(view) as site:
        site.get("/")
        unchanged = site.get("/", if_none_match='"v1"')
        part = site.get("/", range="bytes=0-3")
    assert view.count == 1
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert (part.status, part.body) == (206, b"call")


def test_a_range_of_what_is_not_stored_reaches_the_app_as_it_is() -> None:
    """And what the app says to it is not kept."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/", range="bytes=0-3")
        site.get("/")
    assert view.calls[0]["HTTP_RANGE"] == "bytes=0-3"
    assert view.count == 2


def test_a_client_with_a_copy_fills_the_cache() -> None:
    """Its condition is kept from the app, so that the whole page is stored; the client gets its 304 all the same."""
    view = Views({**PAGE, "ETag": '"v1"'})
    with Site(view) as site:
        for number in range(3):  # the fields are known after the first
            site.get(f"/{number}", if_none_match='"v1"')
        first = site.get("/", if_none_match='"v1"')
        second = site.get("/")
    assert (first.status, first.body) == (304, b"")
    assert not any("HTTP_IF_NONE_MATCH" in call for call in view.calls)
    assert (second.status, second.body, second.is_hit) == (200, b"call 4", True)


def test_cookies_keep_what_is_not_for_everyone_apart() -> None:
    """With a cookie, only what is explicitly public is stored or answered."""
    view = Views(PAGE)
    with Site(view) as site:
        assert site.get("/", cookie="session=1").body == b"call 1"
        assert site.get("/").body == b"call 2"
        assert site.get("/", cookie="session=1").body == b"call 3"
        assert site.get("/").body == b"call 2"
        view.fields = PUBLIC
        assert site.get("/public", cookie="session=1").body == b"call 4"
        assert site.get("/public", cookie="session=2").body == b"call 4"
        assert site.get("/public").body == b"call 4"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-scheme", "nothttps"),
        ("forwarded", "host=evil.example"),
    ],
)
def test_fields_outside_the_key_poison_nothing(name: str, value: str) -> None:
    """What is answered to a request that tries to be another one is not what others get, and the other way round."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/", fields={name: value})
        others = site.get("/")
        again = site.get("/", fields={name: value})
    seen = [call.get("HTTP_" + name.upper().replace("-", "_")) for call in view.calls]
    if seen[0] is None:  # taken away before it came here, since nobody vouched for it
        assert view.count == 1
    else:
        assert others.body == b"call 2"
        assert again.body != b"call 2"


def test_a_get_with_a_body_is_not_a_get() -> None:
    """The body is no part of the key (a "fat GET")."""
    view = Views(PAGE)
    with Site(view) as site:
        site.start("/", body=b"poison").answer()
        assert site.get("/").body == b"call 2"
        assert site.start("/", body=b"poison").answer().body == b"call 3"


def test_a_body_that_only_reading_tells_of_is_not_kept() -> None:
    """In HTTP/2 a body needs no announcement."""
    view = Views(PAGE)

    def reads(environ: dict[str, object]) -> object:
        return view(environ)

    with Site(view) as site:
        client = site.start("/", http_version="2", scheme="https")
        assert client.answer().body == b"call 1"
        poison = site.scope("/other")
        poison.update(http_version="2", scheme="https")
        from tests.gateway.cache_site import Client

        attacker = Client({"type": "http.request", "body": b"poison", "more_body": False})
        site.driver.start(site.pipeline(poison, attacker.receive, attacker.send), attacker.ended.set_result)  # type: ignore[arg-type]  # the pipeline is made of coroutine functions
        assert attacker.answer().body == b"call 2"
        assert site.start("/other", http_version="2", scheme="https").answer().body == b"call 3"
        assert site.start("/", http_version="2", scheme="https").answer().body == b"call 1"


def test_vary_gives_each_its_own() -> None:
    """Requests that differ in a field the response depends on get different responses; others share."""
    view = Views({**PUBLIC, "Vary": "Accept-Language"})
    with Site(view) as site:
        german, english = site.get("/", accept_language="de"), site.get("/", accept_language="en")
        assert (german.body, english.body) == (b"call 1", b"call 2")
        assert site.get("/", accept_language="de").body == b"call 1"
        assert site.get("/", accept_language="en").body == b"call 2"
        assert site.get("/").body == b"call 3"
        assert site.get("/").is_hit


def test_invented_variants_push_out_only_each_other() -> None:
    """However many a client invents, one URL keeps 32, and other pages stay."""
    view = Views({**PUBLIC, "Vary": "X-Whatever"})
    with Site(view) as site:
        site.get("/other")
        for number in range(40):
            site.get("/", x_whatever=str(number))
        assert view.count == 41
        assert site.get("/", x_whatever="39").is_hit
        assert site.get("/other").is_hit
        assert not site.get("/", x_whatever="0").is_hit
        assert site.store.state().entries <= 2 * 32 + 3


def test_only_if_cached_is_taken_at_its_word() -> None:
    """504 rather than a wait; the stored response where there is one."""
    view = Views(PAGE)
    with Site(view) as site:
        assert site.get("/", cache_control="only-if-cached").status == 504
        assert view.count == 0
        site.get("/")
        assert site.get("/", cache_control="only-if-cached").body == b"call 1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_change_invalidates_its_url(method: str) -> None:
    """Whoever has changed a page sees the change (RFC 9111, section 4.4)."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/page")
        site.get("/other")
        assert site.get("/page", method).body == b"call 3"
        assert site.get("/page").body == b"call 4"
        assert site.get("/other").is_hit


def test_a_change_that_failed_invalidates_nothing() -> None:
    """An error, 403 say, is no way to empty a cache."""
    view = Views(PAGE)
    with Site(view) as site:
        site.get("/page")
        view.status = 403
        site.get("/page", "DELETE")
        assert site.get("/page").is_hit


def test_a_change_invalidates_what_it_names() -> None:
    """Location, Content-Location on the same host, and groups (RFC 9875)."""
    view = Views({**PAGE, "Cache-Groups": '"news"'})
    with Site(view) as site:
        for path in ("/a", "/b", "/c"):
            site.get(path)
        view.fields = {"Location": "/a", "Content-Location": "http://evil.example/b"}
        site.get("/new", "POST")
        view.fields = {**PAGE, "Cache-Groups": '"news"'}
        assert site.get("/b").is_hit
        assert not site.get("/a").is_hit
        view.fields = {"Cache-Group-Invalidation": '"news"'}
        site.get("/new", "POST")
        assert not any(site.get(path).is_hit for path in ("/a", "/b", "/c"))


@pytest.mark.parametrize("kind", ["declared", "chunked"])
def test_small_streams_are_kept_when_they_ended_well(kind: Literal["declared", "chunked"]) -> None:
    """A response in parts is stored like a whole one."""

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        length = [(b"content-length", b"6")] if kind == "declared" else []
        await send(  # type: ignore[operator]  # an ASGI app
            {"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60"), *length]}
        )
        for part in (b"ab", b"cd", b"ef"):
            await send({"type": "http.response.body", "body": part, "more_body": True})  # type: ignore[operator]  # as above
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]  # as above

    with Site(app, "asgi") as site:
        first, second = site.get("/"), site.get("/")
    assert (first.body, second.body, first.is_hit, second.is_hit) == (b"abcdef", b"abcdef", False, True)


def test_what_is_too_large_passes() -> None:
    """It reaches the client whole, and is not kept."""
    view = Views(PAGE, body=b"x" * 5000)
    with Site(view, cache_largest=4096) as site:
        assert {site.get("/").body for _ in range(3)} == {b"x" * 5000}
    assert view.count == 3


def test_rules_of_routes_speak_for_the_app() -> None:
    """What it says nothing of is kept as the operator says; what it forbids is not."""
    view = Views({"Content-Type": "text/html"})
    with Site(view, cache_routes=("/articles/* ttl=60s tags=articles",)) as site:
        site.get("/articles/1")
        assert site.get("/articles/1").is_hit
        assert not site.get("/").is_hit
        view.fields = {"Cache-Control": "no-store"}
        site.get("/articles/2")
        assert not site.get("/articles/2").is_hit


def test_off_is_off() -> None:
    """Nothing is kept, and nothing is added."""
    view = Views(PAGE)
    with Site(view, cache="off") as site:
        assert [site.get("/").body for _ in range(2)] == [b"call 1", b"call 2"]
        assert site.get("/").cache == ""


def test_misses_say_so_where_that_is_asked_for() -> None:
    """With `cache_status`, every response tells what the cache did (RFC 9211)."""
    view = Views(PAGE)
    with Site(view, cache_status=True) as site:
        assert site.get("/").cache == "hotplate; fwd=uri-miss; stored"
        assert site.get("/").cache.startswith("hotplate; hit")
        view.fields = {"Cache-Control": "no-store"}
        assert site.get("/b").cache == "hotplate; fwd=miss; detail=no-store"
        assert site.get("/", "POST").status == 200
