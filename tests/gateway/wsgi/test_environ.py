"""What apps are told about a request (PEP 3333, "environ Variables")."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotplate.gateway.wsgi import environ as environs
from hotplate.gateway.wsgi.environ import environ_of
from tests.gateway.wsgi.asking import Fields, request, seen_environ


def test_everything_the_standard_names_is_there() -> None:
    """Every variable of the standard has its value and type."""
    environ = seen_environ(
        request("POST", "/a/b", [(b"content-type", b"text/plain"), (b"content-length", b"2")], query_string=b"x=1&y"),
        [b"hi"],
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "x=1&y",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "2",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "example.org",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50000",
        "RAW_URI": "/a/b?x=1&y",
        "REQUEST_URI": "/a/b?x=1&y",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "read": b"hi",
    }
    assert {key: environ[key] for key in expected} == expected
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= environ.keys()


PATHS = [
    # on the wire, PATH_INFO
    (b"/", "/"),
    (b"/caf%C3%A9", "/caf\xc3\xa9"),  # UTF-8, one character per byte
    (b"/caf%E9", "/caf\xe9"),  # Latin-1: not UTF-8, not lost
    (b"/a%2Fb", "/a/b"),
    (b"/100%25", "/100%"),
    (b"/100%", "/100%"),  # no escape at all
    (b"/%zz", "/%zz"),
    (b"//double//", "//double//"),
    (b"/a+b", "/a+b"),
    (b"/%00", "/\x00"),
    (b"/%f0%9f%8d%b3", "/\xf0\x9f\x8d\xb3"),
]


@pytest.mark.parametrize(("wire", "path"), PATHS)
def test_a_path_is_its_decoded_bytes_one_character_each(wire: bytes, path: str) -> None:
    """Percent-encoded bytes arrive unchanged, whatever their encoding; the target as sent is there, too."""
    environ = environ_of(request(raw_path=wire, path="ignored"))
    assert environ["PATH_INFO"] == path
    assert environ["RAW_URI"] == wire.decode("latin-1")


@given(st.text(st.characters(codec="utf-8"), max_size=30))
@example("ä/ö %?#&+;")
def test_any_text_in_a_path_comes_back(text: str) -> None:
    """What a client percent-encodes as UTF-8, an app gets back by the standard's recipe."""
    from urllib.parse import quote

    environ = environ_of(request(raw_path=b"/" + quote(text, safe="").encode()))
    assert environ["PATH_INFO"].encode("latin-1").decode("utf-8") == "/" + text


@given(st.binary(max_size=30))
def test_any_bytes_in_a_path_come_back(data: bytes) -> None:
    """Bytes that are no UTF-8 come back as they were."""
    from urllib.parse import quote_from_bytes

    environ = environ_of(request(raw_path=b"/" + quote_from_bytes(data, safe="").encode()))
    assert environ["PATH_INFO"].encode("latin-1") == b"/" + data


def test_a_server_without_raw_path_is_served_by_its_decoded_one() -> None:
    """`raw_path` is optional in ASGI."""
    for scope in (request(path="/ä", raw_path=None), {k: v for k, v in request(path="/ä").items() if k != "raw_path"}):
        assert environ_of(scope)["PATH_INFO"].encode("latin-1") == "/ä".encode()


MOUNTS = [
    # root_path, path on the wire, SCRIPT_NAME, PATH_INFO
    ("", b"/x", "", "/x"),
    ("/", b"/x", "", "/x"),
    ("/app", b"/app/x", "/app", "/x"),
    ("/app", b"/app", "/app", ""),
    ("/app/", b"/app/", "/app", "/"),
    ("/app", b"/x", "/app", "/x"),  # servers that leave the prefix out of the path
    ("/app", b"/application", "/app", "/application"),
    ("/ä", b"/%C3%A4/x", "/\xc3\xa4", "/x"),
]


@pytest.mark.parametrize(("root", "wire", "script", "path"), MOUNTS)
def test_a_mounted_app_gets_its_prefix_as_script_name(root: str, wire: bytes, script: str, path: str) -> None:
    """SCRIPT_NAME and PATH_INFO together are the path."""
    environ = environ_of(request(raw_path=wire, root_path=root))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, path)


FIELDS: list[tuple[Fields, dict[str, Any]]] = [
    ([(b"x-a", b"1"), (b"x-a", b"2")], {"HTTP_X_A": "1,2"}),
    ([(b"x-a", b"1"), (b"x-b", b""), (b"x-a", b"1")], {"HTTP_X_A": "1,1", "HTTP_X_B": ""}),
    ([(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")], {"HTTP_COOKIE": "a=1; b=2; c=3"}),
    ([(b"content-type", b"a/b")], {"CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": None}),
    ([(b"x-latin", b"caf\xe9")], {"HTTP_X_LATIN": "caf\xe9"}),
    ([(b"x_real_ip", b"6.6.6.6"), (b"x-real-ip", b"1.2.3.4")], {"HTTP_X_REAL_IP": "1.2.3.4"}),
    ([(b"content_length", b"5")], {"CONTENT_LENGTH": None, "HTTP_CONTENT_LENGTH": None}),
    ([(b"proxy", b"http://evil")], {"HTTP_PROXY": "http://evil"}),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_header_fields_become_variables(fields: Fields, expected: dict[str, Any]) -> None:
    """Repeated ones are joined, cookies by semicolons; names with underscores are dropped: they forge others."""
    environ = environ_of(request(headers=fields))
    assert {key: environ.get(key) for key in expected} == expected


@given(st.lists(st.tuples(st.sampled_from([b"x-a", b"x-b", b"accept"]), st.binary(max_size=5)), max_size=12))
def test_no_repeated_value_is_lost(fields: list[tuple[bytes, bytes]]) -> None:
    """However often a field is repeated, its values arrive in order."""
    environ = environ_of(request(headers=fields))
    for name in {name for name, _ in fields}:
        values = b",".join(value for other, value in fields if other == name)
        assert environ["HTTP_" + name.decode().upper().replace("-", "_")] == values.decode("latin-1")


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    """Only so many unknown names are kept, and no long ones; all of them arrive."""
    for number in range(2000):
        name = b"x-made-up-%d" % number
        assert environ_of(request(headers=[(name, b"v")]))[environs.key_of(name)] == "v"
    long = b"x" * 5000
    assert environ_of(request(headers=[(long, b"v")]))["HTTP_" + "X" * 5000] == "v"
    assert len(environs._keys) <= environs._MOST_KEYS
    assert long not in environs._keys


SERVERS: list[tuple[Any, bytes, str, str, str]] = [
    # server, Host, scheme, SERVER_NAME, SERVER_PORT
    (("10.0.0.1", 81), b"example.org", "http", "10.0.0.1", "81"),
    (("10.0.0.1", "81"), b"example.org", "http", "10.0.0.1", "81"),
    (("/run/app.sock", None), b"example.org:444", "https", "example.org", "444"),
    (None, b"example.org", "https", "example.org", "443"),
    (None, b"example.org", "http", "example.org", "80"),
    (None, b"[::1]:90", "http", "[::1]", "90"),
    (None, b"[::1]", "http", "[::1]", "80"),
    (None, b"", "http", "localhost", "80"),
]


@pytest.mark.parametrize(("server", "host", "scheme", "name", "port"), SERVERS)
def test_server_name_and_port_are_never_empty(server: Any, host: bytes, scheme: str, name: str, port: str) -> None:
    """A listener without host and port, a Unix socket, is named by what the client asked for."""
    scope = request(server=server, scheme=scheme)
    scope["headers"] = [(b"host", host)]
    environ = environ_of(scope)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    """REMOTE_ADDR is empty and still there, as frameworks index it."""
    environ = environ_of(request(client=None))
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ


@pytest.mark.parametrize(
    ("version", "protocol"),
    [("1", "HTTP/1.0"), ("1.0", "HTTP/1.0"), ("1.1", "HTTP/1.1"), ("2", "HTTP/2"), ("3", "HTTP/3"), ("4", "HTTP/4")],
)
def test_the_protocol_is_named_as_in_http(version: str, protocol: str) -> None:
    """SERVER_PROTOCOL has the version's usual name."""
    assert environ_of(request(http_version=version))["SERVER_PROTOCOL"] == protocol


def test_requests_share_nothing() -> None:
    """What one request adds to its environ is not seen by the next."""
    environ_of(request())["x.mine"] = 1
    assert "x.mine" not in environ_of(request())


def test_errors_go_to_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wsgi.errors` takes text in every way a stream does, and closing it does no harm."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    errors = environ_of(request())["wsgi.errors"]
    errors.write("one\n")
    errors.writelines(["two\n", "three\n"])
    print("four", file=errors, flush=True)
    errors.close()
    errors.write("five")
    assert out.getvalue() == "one\ntwo\nthree\nfour\nfive"
    assert errors.writable()
    with pytest.raises(TypeError, match="str"):
        errors.write(b"bytes")
    monkeypatch.setattr(sys, "stderr", None)
    errors.write("nowhere to go")
