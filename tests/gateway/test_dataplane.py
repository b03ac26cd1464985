"""What we rely on in Granian beyond its documented interface; a new version that breaks one of these must not ship."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.gateway_process import Served, ask, gateway
from tests.support.waiting import wait_until


@pytest.fixture
def flask() -> Iterator[Served]:
    """A Flask app behind the whole pipeline."""
    with gateway("tests.support.apps:flask_app") as served:
        yield served


@pytest.fixture
def asgi() -> Iterator[Served]:
    """An ASGI app behind the whole pipeline."""
    with gateway("tests.support.apps:asgi_app") as served:
        yield served


def test_it_serves_a_listener_somebody_else_opened(flask: Served) -> None:
    """The listener stays ours: it is inherited, not bound anew."""
    assert flask.get("/").body == b"hello"
    assert flask.listener.getsockname()[1] == flask.port


def test_a_parked_plane_accepts_nothing_and_loses_nothing(flask: Served) -> None:
    """What is queued after parking is answered by the next holder of the same listener; open connections go on."""
    kept = flask.connect()
    assert ask(kept).body == b"hello"
    flask.order("park")
    answers: list[int] = []
    late = threading.Thread(target=lambda: answers.append(flask.get("/").status))
    late.start()
    for _ in range(5):
        assert ask(kept).body == b"hello"
    assert not answers
    with gateway("tests.support.apps:flask_app", listener=flask.listener):
        late.join(60)
        assert answers == [200]
        assert ask(kept).body == b"hello"


def test_a_draining_worker_answers_and_closes(flask: Served) -> None:
    """A keep-alive client gets its next answer, with `Connection: close`, and then the end of the connection."""
    kept = flask.connect()
    ask(kept)
    drained: list[object] = []
    drain = threading.Thread(target=lambda: drained.append(flask.order("drain", 30)))
    drain.start()
    # The first request after the order may still come before it is carried out.
    wait_until(lambda: ask(kept).headers.get("connection") == "close", what="the connection is closed")
    drain.join(60)
    assert drained == [0]


def test_a_request_in_flight_outlives_the_drain(flask: Served) -> None:
    """A drain waits for the app's answer."""
    answers: list[bytes] = []
    slow = threading.Thread(target=lambda: answers.append(flask.get("/wait/0.5").body))
    slow.start()
    wait_until(lambda: flask.order("snapshot")["in_flight"] == 1, what="the request is in flight")
    assert flask.order("drain", 30) == 0
    slow.join(60)
    assert answers == [b"waited"]


def test_a_drain_ends_with_its_grace(flask: Served) -> None:
    """What has not ended then is counted as abandoned."""
    held = flask.connect()
    held.request("GET", "/hold/drain")
    wait_until(lambda: flask.order("snapshot")["in_flight"] == 1, what="the request is in flight")
    assert flask.order("drain", 0.2) == 1


def test_a_failed_stream_looks_failed(flask: Served) -> None:
    """A response broken off half way is not ended properly, so that no client takes it for whole."""
    connection = flask.connect()
    connection.request("GET", "/half")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        connection.getresponse().read()


def test_a_slow_reader_holds_the_app_back(flask: Served) -> None:
    """Back-pressure: an unread response of 64 MiB is not made into memory, and others are served meanwhile."""
    with socket.create_connection(("127.0.0.1", flask.port)) as sock:
        sock.sendall(b"GET /big/1024 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: flask.order("snapshot")["in_flight"] == 1, what="the stream has begun")
        for _ in range(20):
            assert flask.get("/").body == b"hello"
        assert flask.order("snapshot")["in_flight"] == 1


def test_a_gone_client_ends_the_stream(flask: Served) -> None:
    """The app's generator is closed when its client has left."""
    with socket.create_connection(("127.0.0.1", flask.port)) as sock:
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"data: tick" in sock.recv(65536) + sock.recv(65536)
        assert flask.get("/events/closed").body == b"False"
    wait_until(lambda: flask.get("/events/closed").body == b"True", what="the generator is closed")


def test_many_streams_starve_nobody(flask: Served) -> None:
    """Twenty event streams at once leave room for others, and health never feels them."""
    socks = [socket.create_connection(("127.0.0.1", flask.port)) for _ in range(20)]
    for sock in socks:
        sock.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    for sock in socks:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert [flask.get("/").body for _ in range(10)] == [b"hello"] * 10
    assert flask.get("/-/health").status == 200
    for sock in socks:
        sock.close()


def test_health_answers_while_every_thread_is_busy() -> None:
    """The probe needs no thread of the pool."""
    with gateway("tests.support.apps:flask_app", threads=2) as served:
        held = [served.connect() for _ in range(4)]
        for connection in held:
            connection.request("GET", "/hold/busy")
        wait_until(lambda: served.order("snapshot")["queued"] == 2, what="the pool is full")
        assert served.get("/-/health").status == 200
        assert served.order("snapshot")["in_flight"] == 4


def test_a_hung_request_gets_504_and_is_reported() -> None:
    """The client is answered, and the stack names the line that hangs."""
    with gateway("tests.support.apps:flask_app", timeout=0.5) as served:
        assert served.get("/hold/hung").status == 504
        wait_until(lambda: served.order("hung"), what="the hung request is reported")
        assert ".wait(60)" in served.order("hung")[0]
        assert served.get("/").body == b"hello"


def test_a_hung_coroutine_gets_504_and_is_cancelled() -> None:
    """The same for an ASGI app, whose task ends."""
    with gateway("tests.support.apps:asgi_app", timeout=0.5) as served:
        assert served.get("/hang").status == 504
        wait_until(lambda: served.order("hung"), what="the hung request is reported")
        assert served.order("snapshot")["in_flight"] == 0


def test_the_lifespan_state_reaches_each_request(asgi: Served) -> None:
    """What startup left in `state` is there, and a memoryview is a body."""
    assert asgi.get("/").body == b"started"


def test_an_asgi_app_that_fails_is_a_500(asgi: Served) -> None:
    """And the connection is usable for the log's sake only."""
    assert asgi.get("/boom").status == 500


def test_a_shed_client_is_told_once(flask: Served) -> None:
    """Levelling closes just as many connections as asked."""
    flask.order("shed", 1)
    first, second = flask.get("/"), flask.get("/")
    assert first.headers.get("connection") == "close"
    assert "connection" not in second.headers


def test_a_warm_up_request_tells_what_went_wrong(flask: Served) -> None:
    """Flask logs the exception behind a 500; the rehearsal overhears it."""
    assert flask.order("warm", "/") == [200, "None"]
    assert flask.order("warm", "/boom") == [500, "RuntimeError('boom')"]


def test_unix_sockets_are_served() -> None:
    """A peer without an address is served like any other."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/s")
        listener.listen(16)
        with gateway("tests.support.apps:flask_app", listener=listener):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(f"{folder}/s")
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = b""
                while chunk := sock.recv(65536):
                    answer += chunk
            assert answer.endswith(b"hello")
        listener.close()


def test_a_silent_connection_is_swept_away() -> None:
    """One that never says which HTTP it speaks is ended, one that is being answered is not."""
    from hotplate.gateway import connections

    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
        accepted = [listener.accept()[0] for _ in clients]
        wait_until(lambda: all(one.silent > 0.05 for one in connections.held([listener])), what="both are silent")
        connections.sweep([listener], 0.05, {clients[0].getsockname()})
        assert clients[1].recv(1) == b""
        accepted[0].sendall(b"x")
        assert clients[0].recv(1) == b"x"
        for sock in (*clients, *accepted):
            sock.close()
