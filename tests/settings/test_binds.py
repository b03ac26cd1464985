"""Addresses to listen on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.settings.binds import Bind, parse_bind
from hotplate.settings.refused import RefusedError

FORMS = {
    "127.0.0.1:8000": Bind(kind="tcp", host="127.0.0.1", port=8000),
    "0.0.0.0:80": Bind(kind="tcp", host="0.0.0.0", port=80),
    ":9000": Bind(kind="tcp", host="127.0.0.1", port=9000),
    "9000": Bind(kind="tcp", host="127.0.0.1", port=9000),
    "localhost:0": Bind(kind="tcp", host="localhost", port=0),
    "0.0.0.0": Bind(kind="tcp", host="0.0.0.0", port=8123),
    "Web.Example.com:1": Bind(kind="tcp", host="web.example.com", port=1),
    "[::1]:8000": Bind(kind="tcp", host="::1", port=8000),
    "[::]": Bind(kind="tcp", host="::", port=8123),
    "[0:0:0:0:0:0:0:1]:8000": Bind(kind="tcp", host="::1", port=8000),
    "unix:/run/app.sock": Bind(kind="unix", path="/run/app.sock"),
    "unix:///run/app.sock": Bind(kind="unix", path="/run/app.sock"),
    "unix:app.sock": Bind(kind="unix", path="app.sock"),
    "fd://3": Bind(kind="fd", fd=3),
    "fd:3": Bind(kind="fd", fd=3),
    "FD:3": Bind(kind="fd", fd=3),
    "Unix:/x": Bind(kind="unix", path="/x"),
}
REFUSED = {
    "": "host:port",
    "http://127.0.0.1:8000/": "127.0.0.1:8000",
    "127.0.0.1:port": "0 to 65535",
    "127.0.0.1:65536": "0 to 65535",
    "127.0.0.1:": "0 to 65535",
    "127.0.0.1:-1": "0 to 65535",
    "127.0.0.1: 80": "host:port",
    "70000": "0 to 65535",
    "1.2.3:80": "four numbers",
    "256.1.1.1:80": "four numbers",
    "::1:8000": "brackets",
    "[::1": "brackets",
    "[localhost]:80": "IPv6",
    "[::1]:x": "0 to 65535",
    "*:8000": "0.0.0.0",
    "-a:80": "host:port",
    "a b:80": "host:port",
    "unix:": "a path",
    "unix:" + "x" * 108: "107 bytes",
    "fd://": "such as fd://3",
    "fd": "host:port",
    "Unix": "host:port",
    "fd://x": "such as fd://3",
    "²:80": "host:port",
}


@pytest.mark.parametrize(("text", "bind"), FORMS.items(), ids=FORMS)
def test_forms(text: str, bind: Bind) -> None:
    """Each documented form becomes its record; a host alone takes the default port."""
    assert parse_bind(text, default_port=8123) == bind


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=REFUSED)
def test_refused(text: str, words: str) -> None:
    """What is no address is refused with what would be one."""
    with pytest.raises(RefusedError) as caught:
        parse_bind(text)
    assert words in str(caught.value)


LOOPBACK = {
    "127.0.0.1:1": True, "127.9.9.9:1": True, "localhost:1": True, "[::1]:1": True, "unix:/x": True,
    "0.0.0.0:1": False, "[::]:1": False, "192.0.2.1:1": False, "example.com:1": False, "fd://3": False,
}  # fmt: skip


@pytest.mark.parametrize(("text", "loopback"), LOOPBACK.items(), ids=LOOPBACK)
def test_loopback(text: str, loopback: bool) -> None:
    """An address is loopback only when no other machine can reach it."""
    assert parse_bind(text).is_loopback is loopback


HOSTS = st.one_of(st.ip_addresses(v=4).map(str), st.sampled_from(["localhost", "a.b", "web_1"]))
BINDS = st.one_of(
    st.builds(Bind, kind=st.just("tcp"), host=HOSTS, port=st.integers(0, 65535)),
    st.builds(Bind, kind=st.just("tcp"), host=st.ip_addresses(v=6).map(str), port=st.integers(0, 65535)),
    st.builds(Bind, kind=st.just("fd"), fd=st.integers(0, 10**6)),
    st.builds(Bind, kind=st.just("unix"), path=st.from_regex(r"/[a-z.-][a-z./-]{0,50}", fullmatch=True)),
)


@given(BINDS)
def test_reads_back(bind: Bind) -> None:
    """An address written out is read back the same."""
    assert parse_bind(str(bind)) == bind


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way, and what it reads, it reads again."""
    try:
        bind = parse_bind(text)
    except RefusedError:
        return
    assert parse_bind(str(bind)) == bind
