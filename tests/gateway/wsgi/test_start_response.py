"""What apps may say with `start_response`, and what they may not."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.gateway.wsgi import headers as fields
from hotplate.gateway.wsgi.headers import code_of, encode
from tests.gateway.wsgi.asking import PLAIN, Client, ask, request, returning

Starter = Callable[..., Callable[[bytes], object]]


@pytest.mark.parametrize(
    ("status", "code"),
    [("200 OK", 200), ("404 Not Found", 404), ("299 ", 299), ("200", 200), ("418 I'm a teapot", 418), ("999 x", 999)],
)
def test_a_status_is_three_digits_and_a_reason(status: str, code: int) -> None:
    """Any final status may be sent."""
    assert code_of(status) == code
    assert ask(returning([b"x"], status=status), strict=False).status == code


BAD_STATUSES: list[tuple[Any, type[Exception]]] = [
    (b"200 OK", TypeError),
    (200, TypeError),
    (None, TypeError),
    ("", ValueError),
    ("OK", ValueError),
    ("20 OK", ValueError),
    ("2000 OK", ValueError),
    ("200OK", ValueError),
    ("200 OK\r\nX-Evil: 1", ValueError),
    ("200 OK\x00", ValueError),
    ("200 \u2713", ValueError),
    ("100 Continue", ValueError),  # interim
    ("101 Switching Protocols", ValueError),
    ("000 None", ValueError),
    ("\u0662\u0660\u0660 OK", ValueError),  # digits, but not ASCII's
]


@pytest.mark.parametrize(("status", "error"), BAD_STATUSES)
def test_a_malformed_status_is_an_error_where_the_app_makes_it(status: Any, error: type[Exception]) -> None:
    """`start_response` itself raises, so that the traceback points at the app."""
    caught: list[BaseException] = []

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        try:
            start_response(status, [PLAIN])
        except Exception as problem:  # noqa: BLE001  # the test looks at whatever it is
            caught.append(problem)
        start_response("200 OK", [PLAIN])  # the failed call does not count
        return [b"recovered"]

    assert ask(app, strict=False).body == b"recovered"
    assert isinstance(caught[0], error)


BAD_HEADERS: list[tuple[Any, type[Exception]]] = [
    ((("X-A", "1"),), TypeError),  # PEP 3333: a list
    ({"X-A": "1"}, TypeError),
    (None, TypeError),
    ([("X-A", 1)], TypeError),
    ([("X-A", None)], TypeError),
    ([("X-A", b"1")], TypeError),
    ([(b"X-A", "1")], TypeError),
    ([("X-A",)], TypeError),
    ([("X-A", "1", "2")], TypeError),
    ([["X-A", ["1"]]], TypeError),
    ([("", "1")], ValueError),
    ([("X A", "1")], ValueError),
    ([("X:A", "1")], ValueError),
    ([("X-A\r\nX-B", "1")], ValueError),
    ([("X-\u00e4", "1")], ValueError),
    ([("X-A", "1\r\nX-B: 2")], ValueError),
    ([("X-A", "1\n")], ValueError),
    ([("X-A", "\x00")], ValueError),
    ([("X-A", "\x7f")], ValueError),
    ([("X-A", "\u20ac")], ValueError),
    ([("X-A", "\u2028")], ValueError),
    ([("Content-Length", "five")], ValueError),
    ([("Content-Length", "-5")], ValueError),
    ([("Content-Length", "+5")], ValueError),
    ([("Content-Length", "\u0665")], ValueError),
    ([("Content-Length", "")], ValueError),
    ([("Content-Length", "5"), ("content-length", "6")], ValueError),
]


@pytest.mark.parametrize(("headers", "error"), BAD_HEADERS)
def test_malformed_fields_are_an_error_where_the_app_makes_them(headers: Any, error: type[Exception]) -> None:
    """What would split a response, or cannot be sent, is refused; the client gets a plain 500."""
    caught: list[BaseException] = []

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        try:
            start_response("200 OK", headers)
        except Exception as problem:
            caught.append(problem)
            raise
        return [b"secret"]

    client = ask(app, strict=False)
    assert (client.status, client.body) == (500, b"Internal Server Error\n")
    assert isinstance(caught[0], error)


def test_a_refused_value_is_not_quoted() -> None:
    """It may be a session cookie; its name is enough."""
    with pytest.raises(ValueError, match="Set-Cookie") as caught:
        encode([("Set-Cookie", "s3cr3t\n")])
    assert "s3cr3t" not in str(caught.value)


GOOD_HEADERS = [
    (("Content-Type", "text/html; charset=utf-8"), (b"content-type", b"text/html; charset=utf-8")),
    (("X-Tab", "a\tb"), (b"x-tab", b"a\tb")),
    (("X-Latin", "caf\xe9\xa0\xad"), (b"x-latin", b"caf\xe9\xa0\xad")),
    (("X-Empty", ""), (b"x-empty", b"")),
    (("x_y!#$%&'*+.^`|~", "1"), (b"x_y!#$%&'*+.^`|~", b"1")),
]


@pytest.mark.parametrize(("field", "wire"), GOOD_HEADERS)
def test_fields_are_sent_as_latin_1_with_lower_case_names(field: tuple[str, str], wire: tuple[bytes, bytes]) -> None:
    """ASGI wants names in lower case; values keep every byte. A second time is like the first."""
    assert encode([field]) == encode([field]) == ([wire], None)


@given(st.text(max_size=20))
def test_no_value_can_split_a_response(value: str) -> None:
    """Whatever an app puts into a value, it is sent as it is or refused."""
    try:
        [(_, sent)], _ = encode([("X-Any", value)])
    except ValueError:
        assert any(ord(char) < 32 or ord(char) == 127 or ord(char) > 255 for char in value)
    else:
        assert sent.decode("latin-1") == value
        assert not {0, 10, 13} & set(sent)


def test_repeated_fields_stay_apart_and_in_order() -> None:
    """Two Set-Cookie fields are two cookies."""
    headers = [PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert ask(returning([b"x"], headers)).fields[1:3] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_fields_of_the_connection_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """They are the server's to decide; the log says so, once."""
    fields._names.clear()
    headers = [PLAIN, ("Connection", "close"), ("Keep-Alive", "1"), ("Transfer-Encoding", "chunked"), ("Upgrade", "x")]
    with caplog.at_level(logging.WARNING, "hotplate.app"):
        for _ in range(2):
            client = ask(returning([b"x"], headers), strict=False)
            assert client.fields == [(b"content-type", b"text/plain"), (b"content-length", b"1")]
    assert len(caplog.records) == 4


def test_made_up_names_and_values_do_not_fill_the_memory() -> None:
    """What is remembered of fields and statuses is bounded."""
    for number in range(3000):
        encode([(f"X-Made-Up-{number}", "v"), ("Content-Type", f"text/{number}")])
        code_of(f"200 Number {number}")
    assert len(fields._names) <= fields._MOST_KEPT
    assert len(fields._pairs) <= fields._MOST_PAIRS
    assert len(fields._statuses) <= fields._MOST_KEPT
    assert not any(name.lower() == "set-cookie" for name, _ in fields._pairs)


def test_the_list_may_change_until_the_first_byte() -> None:
    """Middleware that adds to the list the app gave is heard."""

    def app(environ: dict[str, Any], start_response: Starter) -> Iterator[bytes]:
        headers = [PLAIN, ("Content-Length", "9")]
        start_response("200 OK", headers)
        headers.append(("X-Late", "1"))
        headers[1] = ("Content-Length", "4")
        yield b"late"

    client = ask(app, strict=False)
    assert client.fields == [(b"content-type", b"text/plain"), (b"content-length", b"4"), (b"x-late", b"1")]
    assert (client.body, client.complete) == (b"late", True)


def test_calling_it_twice_is_an_error() -> None:
    """Without exc_info a second call is the app's mistake."""

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN])
        start_response("200 OK", [PLAIN])
        return [b"x"]

    assert ask(app).status == 500


def test_an_error_replaces_the_answer_begun() -> None:
    """With exc_info, and nothing sent yet, the second answer counts."""

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN, ("X-First", "1")])
        try:
            environ["k"]
        except KeyError:
            start_response("503 Oops", [PLAIN, ("X-Second", "1")], sys.exc_info())
        return [b"sorry"]

    client = ask(app, strict=False)
    assert (client.status, client.body) == (503, b"sorry")
    assert [name for name, _ in client.fields] == [b"content-type", b"x-second", b"content-length"]


def test_an_error_after_the_first_byte_is_raised_again() -> None:
    """With exc_info, and something sent, `start_response` raises the app's own error."""
    raised: list[bool] = []

    def app(environ: dict[str, Any], start_response: Starter) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        yield b"begun"
        try:
            environ["k"]
        except KeyError as error:
            with pytest.raises(KeyError) as again:
                start_response("500 Oops", [PLAIN], sys.exc_info())
            raised.append(again.value is error)

    client = ask(app)
    assert (client.status, client.body) == (200, b"begun")
    assert raised == [True]


def test_empty_exc_info_is_none() -> None:
    """`sys.exc_info()` outside an except clause is three Nones; it does not make a second call right."""

    def app(environ: dict[str, Any], start_response: Starter) -> Iterable[bytes]:
        start_response("200 OK", [PLAIN], sys.exc_info())
        return [b"fine"]

    assert ask(app, strict=False).body == b"fine"


@pytest.mark.parametrize("kind", ["list", "generator", "nothing"])
def test_an_app_that_never_calls_it_is_answered_500(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the mistake."""
    kinds: dict[str, Callable[[], Iterable[bytes]]] = {
        "list": lambda: [b"x"],
        "generator": lambda: (block for block in [b"x", b"y"]),
        "nothing": lambda: iter(()),
    }
    client: Client = ask(lambda _environ, _start: kinds[kind](), request(), strict=False)
    assert client.status == 500
    assert "without calling start_response()" in caplog.text
