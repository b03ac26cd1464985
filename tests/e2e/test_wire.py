"""What clients may speak to the real command: TLS, HTTP/2, Unix sockets, several addresses, WebSocket."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.http2_client import Client
from tests.support.instance import Instance, instance
from tests.support.services import require
from tests.support.waiting import free_port, wait_until

PATIENCE = 60.0
LARGE = bytes(range(251)) * 20_000  # 5 MB, in no step with any frame
SOURCE = """
import hashlib, os
from flask import Flask, Response, jsonify, request

VERSION = "1"
app = Flask(__name__)

@app.get("/")
def page():
    return jsonify(version=VERSION, scheme=request.scheme, protocol=request.environ["SERVER_PROTOCOL"],
                   peer=request.remote_addr, port=request.environ["SERVER_PORT"], name=request.host)

@app.get("/version")
def version():
    return VERSION

@app.post("/body")
def body():
    data = request.get_data()
    return jsonify(size=len(data), digest=hashlib.sha256(data).hexdigest(), length=request.content_length)

@app.post("/echo")
def echo():
    return request.get_data()

@app.get("/stream")
def stream():
    return Response((b"x" * 65536 for _ in range(32)), mimetype="application/octet-stream")

@app.get("/half")
def half():
    def parts():
        yield b"half"
        raise RuntimeError("the second half is missing")
    return Response(parts())
"""
ECHO = """
import asyncio

VERSION = "1"
released = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": VERSION.encode()})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": VERSION + message["text"]})
    with open("disconnects", "a") as log:
        log.write(f"{message['code']}\\n")
"""


class Secured(NamedTuple):
    """A site behind TLS, and what its clients trust."""

    site: Instance
    trust: Callable[[], ssl.SSLContext]

    def client(self, *, http2: bool) -> httpx.Client:
        """Return a client that offers HTTP/1.1, and HTTP/2 if wanted, by ALPN."""
        url = f"https://localhost:{self.site.port}"
        return httpx.Client(base_url=url, verify=self.trust(), http2=http2, timeout=PATIENCE, trust_env=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["-keyout", str(key), "-out", str(cert)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run(
        [require("openssl"), "req", "-x509", *curve, "-nodes", "-days", "2", *names, *made],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture(scope="module")
def secured(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The Flask app behind TLS."""
    cert, key = pair
    flags = ["--workers", "1", "--cert", str(cert), "--key", str(key)]
    with instance(tmp_path_factory.mktemp("secured"), SOURCE, *flags) as site:
        yield Secured(site, lambda: ssl.create_default_context(cafile=str(cert)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The Flask app without TLS."""
    with instance(tmp_path_factory.mktemp("plain"), SOURCE, "--workers", "1") as site:
        yield site


def by_prior_knowledge(site: Instance) -> httpx.Client:
    """Return a client that speaks HTTP/2 without having been offered it (h2c, RFC 9113, section 3.3)."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{site.port}", http1=False, http2=True, timeout=PATIENCE, trust_env=False
    )


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_tls_is_served_and_alpn_decides(secured: Secured, http2: bool, version: str) -> None:
    """The app knows that it is behind https, and which version was agreed on."""
    with secured.client(http2=http2) as client:
        answer = client.get("/")
        assert answer.http_version == version
        seen = answer.json()
    assert (seen["scheme"], seen["protocol"], seen["peer"]) == ("https", version, "127.0.0.1")
    assert seen["name"] == f"localhost:{secured.site.port}"
    assert seen["port"] == str(secured.site.port)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_tls_is_refused(secured: Secured) -> None:
    """RFC 8996 deprecates 1.1 and older."""
    old = secured.trust()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", secured.site.port)) as sock, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(sock, server_hostname="localhost")


def test_a_client_without_tls_harms_nobody(secured: Secured) -> None:
    """It is turned away; others are served on."""
    with socket.create_connection(("127.0.0.1", secured.site.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " not in sock.recv(65536)
    with secured.client(http2=False) as client:
        assert client.get("/version").text == "1"


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_bodies_and_streams_pass_through_tls(secured: Secured, http2: bool) -> None:
    """There and back."""
    with secured.client(http2=http2) as client:
        assert client.post("/echo", content=LARGE).content == LARGE
        assert client.get("/stream").content == b"x" * 65536 * 32


def test_a_websocket_passes_through_tls(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """As wss."""
    cert, key = pair
    trust = ssl.create_default_context(cafile=str(cert))
    with (
        instance(tmp_path, ECHO, "--workers", "1", "--cert", str(cert), "--key", str(key)) as site,
        connect(f"wss://localhost:{site.port}/", ssl=trust, proxy=None, open_timeout=PATIENCE) as ws,
    ):
        ws.send("x")
        assert ws.recv(timeout=PATIENCE) == "1x"


def test_http2_needs_no_tls(plain: Instance) -> None:
    """A proxy may speak it by prior knowledge."""
    with by_prior_knowledge(plain) as client:
        answer = client.get("/")
        assert (answer.http_version, answer.json()["protocol"]) == ("HTTP/2", "HTTP/2")
        assert answer.json()["name"] == f"127.0.0.1:{plain.port}"
        assert client.get("/-/health").status_code == 200
        assert client.get("/missing").status_code == 404


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "5 MB"])
@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "without"])
def test_bodies_arrive_over_http2(plain: Instance, content: bytes, announced: bool) -> None:
    """The app is told the length of what came."""
    pieces = (content[start : start + 50_000] for start in range(0, len(content), 50_000))
    with by_prior_knowledge(plain) as client:
        answer = client.post("/echo", content=content if announced else pieces)
        assert answer.content == content


def test_many_streams_share_an_http2_connection(plain: Instance) -> None:
    """Fifty at once, each with its own answer."""

    async def ask_all() -> list[httpx.Response]:
        url = f"http://127.0.0.1:{plain.port}"
        async with httpx.AsyncClient(
            base_url=url, http1=False, http2=True, timeout=PATIENCE, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.post("/echo", content=b"%d" % n * 1000) for n in range(50)))

    assert [answer.content for answer in asyncio.run(ask_all())] == [b"%d" % n * 1000 for n in range(50)]


def test_a_failed_stream_looks_failed_over_http2(plain: Instance) -> None:
    """No client takes half a response for a whole one."""
    with by_prior_knowledge(plain) as client, pytest.raises(httpx.TransportError):
        client.get("/half")
    with by_prior_knowledge(plain) as client:
        assert client.get("/version").text == "1"


@pytest.mark.parametrize(("version", "one", "two"), [("1", True, False), ("2", False, True)])
def test_one_version_only(tmp_path: Path, version: str, one: bool, two: bool) -> None:
    """`--http` 1 or 2 serves that and refuses the other."""

    def is_answered(http1: bool) -> bool:
        try:
            with httpx.Client(http1=http1, http2=not http1, timeout=PATIENCE, trust_env=False) as client:
                return client.get(f"http://127.0.0.1:{site.port}/version").text == "1"
        except httpx.TransportError:
            return False

    with instance(tmp_path, SOURCE, "--workers", "1", "--http", version) as site:
        assert (is_answered(True), is_answered(False)) == (one, two)


def ask_unix(path: Path) -> bytes:
    """Ask for the front page over a Unix socket."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=PATIENCE) as client:
        answer = client.get("http://site.example/", headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 200
        return answer.content


def test_several_addresses_are_served_at_once(tmp_path: Path) -> None:
    """TCP and a Unix socket, before and after a reload; a stop takes the socket away."""
    path, second = tmp_path / "s.sock", free_port()
    flags = ["--workers", "2", "--bind", f"127.0.0.1:{second}", "--bind", f"unix:{path}"]
    with instance(tmp_path, SOURCE, *flags) as site:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert path.stat().st_uid == os.getuid()
        for version in "12":
            (tmp_path / "app.py").write_text(SOURCE.replace('VERSION = "1"', f'VERSION = "{version}"'))
            assert version == "1" or site.command("reload").returncode == 0
            for port in (site.port, second):
                seen = httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE, trust_env=False).json()
                assert (seen["version"], seen["port"], seen["scheme"]) == (version, str(port), "http")
            for _ in range(4):
                seen = httpx.Response(200, content=ask_unix(path)).json()
                # A Unix socket's peer is believed: the file's rights decide who it is.
                assert (seen["version"], seen["scheme"], seen["name"]) == (version, "https", "site.example")
        assert site.command("stop").returncode == 0
        assert not path.exists()


def test_a_unix_socket_left_behind_is_taken_over(tmp_path: Path) -> None:
    """By a crash, say; one that somebody serves is not."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with instance(tmp_path, SOURCE, "--workers", "1", bind=f"unix:{path}") as site:
        assert b'"version":"1"' in ask_unix(path)
        second = site.command("run", "app:app", "--name", "other", "--bind", f"unix:{path}")
        assert second.returncode == 6
        assert b'"version":"1"' in ask_unix(path)


def test_a_reload_asks_websockets_to_come_again(tmp_path: Path) -> None:
    """The client hears 1012 while it and the app wait for each other, and meets the new version; the app sees it go."""
    with instance(tmp_path, ECHO, "--workers", "1") as site:

        def dial() -> ClientConnection:
            return connect(f"ws://127.0.0.1:{site.port}/", proxy=None, open_timeout=PATIENCE)

        with dial() as ws, dial() as other:
            for connection in (ws, other):
                connection.send("x")
                assert connection.recv(timeout=PATIENCE) == "1x"
            (tmp_path / "app.py").write_text(ECHO.replace('"1"', '"2"'))
            assert site.command("reload").returncode == 0
            for connection in (ws, other):
                with pytest.raises(ConnectionClosed) as ended:
                    connection.recv(timeout=PATIENCE)
                assert ended.value.rcvd is not None
                assert ended.value.rcvd.code == 1012
        with dial() as ws:
            ws.send("x")
            assert ws.recv(timeout=PATIENCE) == "2x"
        wait_until(lambda: (tmp_path / "disconnects").read_text().split().count("1012") == 2, what="the app saw it")
        wait_until(lambda: len(site.status()["workers"]) == 1, what="the old worker has gone")
        assert "Traceback" not in site.log


def test_a_busy_http2_connection_is_handed_over(tmp_path: Path) -> None:
    """GOAWAY comes soon after the new version took over, not with the end of the grace, and no request is lost."""
    with instance(tmp_path, SOURCE, "--workers", "1", "--grace", "10m") as site, Client(site.port) as client:
        for version in ("2", "3"):
            (tmp_path / "app.py").write_text(SOURCE.replace('"1"', f'"{version}"'))
            assert site.command("reload").returncode == 0
            wait_until(partial(_answers, client, version), what="the new version answers")
        assert client.reconnected >= 2
        wait_until(lambda: len(site.status()["workers"]) == 1, what="the old workers have gone")


def test_reloads_behind_tls_lose_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Requests that cannot be repeated are answered throughout."""
    cert, key = pair
    flags = ["--workers", "2", "--cert", str(cert), "--key", str(key)]
    with instance(tmp_path, SOURCE, *flags) as site:
        load = _Posting(Secured(site, lambda: ssl.create_default_context(cafile=str(cert))))
        with load:
            for version in ("2", "3"):
                (tmp_path / "app.py").write_text(SOURCE.replace('VERSION = "1"', f'VERSION = "{version}"'))
                assert site.command("reload").returncode == 0
                load.more()
        assert load.failures == []


def _answers(client: Client, version: str) -> bool:
    return client.get("/version") == version.encode()


class _Posting:
    """Clients that keep their connection and send one request after the other."""

    def __init__(self, secured: Secured, *, clients: int = 3) -> None:
        self.failures: list[str] = []
        self._answers = 0
        self._secured = secured
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post) for _ in range(clients)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()
        self.more(20)

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def more(self, count: int = 50) -> None:
        """Wait until `count` more answers have come."""
        before = self._answers
        wait_until(lambda: self._answers > before + count or self.failures, what="the load goes on")

    def _post(self) -> None:
        with self._secured.client(http2=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/echo", content=b"x" * 3000)
                    if (answer.status_code, len(answer.content)) != (200, 3000):
                        self.failures.append(f"{answer.status_code} with {len(answer.content)} bytes")
                except (httpx.TransportError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                self._answers += 1
