"""Compression as clients see it: Flask and FastAPI behind the whole pipeline."""

from __future__ import annotations

import contextlib
import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import httpx
import pytest

from tests.gateway.compressed_site import ANSWERS, LARGE, PAGE
from tests.support.gateway_process import gateway
from tests.support.services import require

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODED: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "": bytes,
}
EACH = pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
LINES = "".join(f"line {number}\n" for number in range(3000)).encode()


@contextlib.contextmanager
def site(app: str, **settings: Any) -> Iterator[httpx.Client]:
    """Serve the site, and give a client that decodes nothing by itself."""
    with (
        gateway(f"tests.gateway.compressed_site:{app}", **settings) as served,
        httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=60, trust_env=False) as client,
    ):
        client.headers.pop("accept-encoding")
        yield client


@pytest.fixture(scope="module", params=["flask_app", "fastapi_app"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the site in each framework."""
    with site(request.param) as found:
        yield found


def get(client: httpx.Client, path: str, coding: str = "", **fields: str) -> tuple[httpx.Response, bytes]:
    """Return a response and its body as it came."""
    headers = {"Accept-Encoding": coding} if coding else {"Accept-Encoding": "identity"}
    with client.stream(
        "GET", path, headers={**headers, **{k.replace("_", "-"): v for k, v in fields.items()}}
    ) as found:
        return found, b"".join(found.iter_raw())


@EACH
def test_a_page_is_compressed(client: httpx.Client, coding: str) -> None:
    """With its length, its tag and Vary, and nothing that describes the plain bytes."""
    response, body = get(client, "/answer/page", coding)
    assert response.headers["content-encoding"] == coding
    assert DECODED[coding](body) == PAGE.encode()
    assert int(response.headers["content-length"]) == len(body) < len(PAGE) / 10
    assert response.headers["etag"] == f'"v1;{coding}"'
    assert response.headers["vary"] == "Accept-Encoding"
    assert "accept-ranges" not in response.headers
    assert "content-md5" not in response.headers


@EACH
def test_a_large_body_is_compressed(client: httpx.Client, coding: str) -> None:
    """In a thread, where the loop would have been held up."""
    response, body = get(client, "/answer/large", coding)
    assert response.headers["content-encoding"] == coding
    assert DECODED[coding](body) == LARGE


def test_many_large_bodies_at_once(client: httpx.Client) -> None:
    """None gets another's bytes, and the server answers on."""
    with ThreadPoolExecutor(6) as threads:
        bodies = list(threads.map(lambda coding: get(client, "/answer/large", coding), ["zstd", "br", "gzip"] * 4))
    for response, body in bodies:
        assert DECODED[response.headers["content-encoding"]](body) == LARGE


@EACH
def test_curl_reads_it(client: httpx.Client, coding: str) -> None:
    """A client of another make decodes what it asked for, with a session's filler in it and without."""
    for fields in ([], ["-H", "Cookie: session=1"]):
        for path, content in (("/answer/page", PAGE.encode()), ("/lines", LINES)):
            command = [str(require("curl")), "-sS", "--compressed", "-H", f"Accept-Encoding: {coding}", *fields]
            answer = subprocess.run([*command, f"{client.base_url}{path}"], check=True, capture_output=True).stdout
            assert answer == content


@EACH
@pytest.mark.parametrize("cookie", ["", "session=1"])
def test_a_stream_is_compressed(client: httpx.Client, coding: str, cookie: str) -> None:
    """Without a length; and with filler only in a coding that can carry it."""
    fields = {"Cookie": cookie} if cookie else {}
    response, body = get(client, "/lines", coding, **fields)
    sent_in = "" if cookie and coding == "zstd" else coding
    assert response.headers.get("content-encoding", "") == sent_in
    assert "content-length" not in response.headers
    assert response.headers["vary"] == "Accept-Encoding"
    assert DECODED[sent_in](body) == LINES


def reader(coding: str) -> Callable[[bytes], bytes]:
    """Return what a client does with each part of a stream as it comes."""
    if coding == "gzip":
        return zlib.decompressobj(wbits=31).decompress
    if coding == "br":
        process: Callable[[bytes], bytes] = brotli.Decompressor().process
        return process
    return zstd.ZstdDecompressor().decompress


@EACH
@pytest.mark.parametrize("app", ["flask_app", "fastapi_app"])
@pytest.mark.parametrize("cookie", ["", "session=1"])
def test_events_are_not_delayed(app: str, coding: str, cookie: str) -> None:
    """Each can be read before the next is made."""
    if cookie and coding == "zstd":
        coding = "br, zstd"
    headers = {"Accept-Encoding": coding, **({"Cookie": cookie} if cookie else {})}
    with site(app) as client, client.stream("GET", "/events", headers=headers) as response:
        read, parts = reader(response.headers["content-encoding"]), response.iter_raw()
        got = b""
        while b"first" not in got:
            got += read(next(parts))
        assert got == b"data: first\n\n"
        assert client.get("/release").status_code == 200
        got += b"".join(map(read, parts))
    assert got == b"data: first\n\ndata: second\n\n"


@pytest.mark.parametrize("name", ["small", "picture", "untouched", "encoded"])
def test_what_is_left_alone(client: httpx.Client, name: str) -> None:
    """Small bodies, pictures, what must not be transformed, and what the app has encoded itself."""
    response, body = get(client, f"/answer/{name}", "zstd, br, gzip")
    content, _, fields = ANSWERS[name]
    assert body == content
    assert response.headers.get("content-encoding") == fields.get("Content-Encoding")
    assert response.headers.get("etag") == fields.get("ETag")
    assert "vary" not in response.headers


def test_what_would_not_shrink_is_sent_as_it_is(client: httpx.Client) -> None:
    """Text of noise; another client might get it in a better coding, so it varies."""
    response, body = get(client, "/answer/noise", "gzip")
    assert body == ANSWERS["noise"][0]
    assert "content-encoding" not in response.headers
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", ["", "identity", "deflate", "gzip;q=0", "*;q=0"])
def test_who_does_not_ask_gets_it_plain(client: httpx.Client, coding: str) -> None:
    """And a cache between us is told that others may get it otherwise."""
    response, body = get(client, "/answer/page", coding)
    assert body == PAGE.encode()
    assert "content-encoding" not in response.headers
    assert response.headers["etag"] == '"v1"'
    assert response.headers["vary"] == "Accept-Encoding"


def test_vary_is_added_to(client: httpx.Client) -> None:
    """What the app says stays."""
    assert get(client, "/answer/weak", "br")[0].headers["vary"] == "Cookie, Accept-Encoding"
    assert get(client, "/answer/varied", "br")[0].headers["vary"] == "accept-encoding, Origin"


def test_a_weak_tag_stays(client: httpx.Client) -> None:
    """It says that the codings mean the same, which they do."""
    assert get(client, "/answer/weak", "br")[0].headers["etag"] == 'W/"v1"'


@EACH
def test_the_app_does_not_see_suffixes(client: httpx.Client, coding: str) -> None:
    """Its conditions are about its own tags; If-Range with a coding's tag must fail, so it stays as it is."""
    tag = f'"v1;{coding}"'
    response, body = get(client, "/asked", coding, If_None_Match=f'{tag}, "v2"', If_Match=tag, If_Range=tag)
    seen = httpx.Response(200, content=DECODED[response.headers.get("content-encoding", "")](body)).json()
    assert seen["if-none-match"] == '"v1", "v2"'
    assert seen["if-match"] == '"v1"'
    assert seen["if-range"] == tag


@EACH
def test_a_304_names_the_copy_the_client_has(client: httpx.Client, coding: str) -> None:
    """The whole circle: a page in a coding, its tag, and the app's word that it is still good."""
    response, _ = get(client, "/conditional", coding)
    tag = response.headers["etag"]
    assert tag == f'"v1;{coding}"'
    response, body = get(client, "/conditional", coding, If_None_Match=tag)
    assert (response.status_code, response.headers["etag"], body) == (304, tag, b"")
    assert "accept-encoding" in response.headers["vary"].lower()


def test_head_tells_of_get(client: httpx.Client) -> None:
    """The same fields but for the length, which only compressing would tell (RFC 9110, section 9.3.2)."""
    response = client.head("/answer/page", headers={"Accept-Encoding": "br"})
    assert response.headers["content-encoding"] == "br"
    assert response.headers["etag"] == '"v1;br"'
    assert "content-length" not in response.headers
    assert client.head("/answer/page", headers={"Accept-Encoding": "identity"}).headers["content-length"] == "21700"


def test_filler_for_a_session(client: httpx.Client) -> None:
    """The same page is as long for the same user every time, and not as long as without a session."""
    for coding in ("zstd", "br", "gzip"):
        plain = len(get(client, "/answer/page", coding)[1])
        filled = {len(get(client, "/answer/page", coding, Cookie="session=1")[1]) for _ in range(5)}
        assert len(filled) == 1
        assert filled == {len(get(client, "/answer/page", coding, Authorization="Bearer x")[1])}
        assert plain < filled.pop() <= plain + 128 + 16


def test_it_can_be_switched_off() -> None:
    """Then nothing is touched."""
    with site("flask_app", compress=False) as client:
        response, body = get(client, "/answer/page", "br, gzip")
        assert body == PAGE.encode()
        assert "vary" not in response.headers
        assert response.headers["content-length"] == "21700"


def test_its_settings_hold() -> None:
    """The order of the codings, those that are left out, and the smallest body."""
    with site("flask_app", compress_codings=["gzip", "br"], compress_min=30_000) as client:
        assert "content-encoding" not in get(client, "/answer/page", "br, gzip")[0].headers
        assert get(client, "/answer/large", "zstd, br, gzip")[0].headers["content-encoding"] == "gzip"
        assert "content-encoding" not in get(client, "/answer/large", "zstd")[0].headers
