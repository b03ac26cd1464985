"""Sockets: what is opened per slot, what is left alone, and what is said when an address cannot be had."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import parse_bind
from hotplate.supervisor import ports, steering
from hotplate.supervisor.sockets import Sockets
from tests.support.waiting import free_port

linux = pytest.mark.skipif(sys.platform != "linux", reason="one listener per slot is Linux's")


def opened(*binds: str, inherited: tuple[int, ...] = ()) -> Sockets:
    """Return the sockets of these binds, listening."""
    sockets = Sockets([parse_bind(bind) for bind in binds], 64, inherited)
    sockets.listen()
    return sockets


def refused(*binds: str) -> HotplateError:
    """Return why these binds cannot be had."""
    with pytest.raises(HotplateError) as error:
        opened(*binds)
    assert error.value.code == ExitCode.PORT_UNAVAILABLE
    return error.value


@linux
def test_each_slot_has_its_own_listener_on_the_same_port() -> None:
    """Port 0 is chosen once; every slot listens on what was chosen."""
    with closing(opened("127.0.0.1:0")) as sockets:
        first, second, third = (sockets.of(slot)[0] for slot in range(3))
        assert len({each.fileno() for each in (first, second, third)}) == 3
        assert first.getsockname() == second.getsockname() == third.getsockname()
        assert sockets.addresses == (f"http://127.0.0.1:{first.getsockname()[1]}",)
        assert sockets.of(1) == [second]


@linux
def test_slots_close_from_the_highest_down() -> None:
    """A closed slot takes no connections any more, and can be opened again."""
    with closing(opened("127.0.0.1:0")) as sockets, ExitStack() as connections:
        port = sockets.of(0)[0].getsockname()[1]
        sockets.of(1)
        sockets.steer({0: 1})
        sockets.close_last()
        for _ in range(20):
            connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        for _ in range(20):
            connections.enter_context(sockets.of(0)[0].accept()[0])
        assert sockets.of(1)[0].fileno() >= 0


@linux
def test_connections_go_where_they_are_steered() -> None:
    """Weights decide; nobody to steer to leaves all as it is."""
    with closing(opened("127.0.0.1:0")) as sockets, ExitStack() as connections:
        listeners = [sockets.of(slot)[0] for slot in range(2)]
        assert sockets.steer({1: 1}) == ""
        assert sockets.steer({}) == ""
        assert sockets.spread
        for _ in range(10):
            connections.enter_context(socket.create_connection(listeners[0].getsockname(), timeout=10))
        for _ in range(10):
            connections.enter_context(listeners[1].accept()[0])
        with pytest.raises(BlockingIOError):
            listeners[0].accept()


@linux
def test_where_steering_is_forbidden_the_kernel_spreads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that refuses the program is told about once; everything else goes on."""

    def forbidden(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(steering, "attach", forbidden)
    with closing(opened("127.0.0.1:0")) as sockets:
        sockets.of(1)
        assert "not permitted" in sockets.steer({0: 1})
        assert sockets.steer({1: 1}) == ""
        assert not sockets.spread


def test_several_addresses_are_served_by_every_slot(tmp_path: Path) -> None:
    """A slot gets one listener per address; a Unix socket is shared."""
    with closing(opened("127.0.0.1:0", f"unix:{tmp_path}/app.sock", "127.0.0.1:0")) as sockets:
        first, second = sockets.of(0), sockets.of(1)
        assert len(first) == len(second) == 3
        assert first[1] is second[1]
        assert sockets.addresses[1] == f"unix:{tmp_path}/app.sock"


def test_a_port_in_use_is_refused_with_its_holder_and_a_free_one() -> None:
    """The line says who has it, and the suggestion can be pasted."""
    with closing(opened("127.0.0.1:0")) as sockets:
        port = sockets.of(0)[0].getsockname()[1]
        error = refused(f"127.0.0.1:{port}")
        assert f"(pid {os.getpid()})" in error.cause
        suggested = error.remedy.partition("--bind ")[2].partition(",")[0]
        opened(suggested).close()


def test_what_was_opened_before_a_refusal_is_closed(tmp_path: Path) -> None:
    """A start that fails at its second address leaves neither port nor file behind."""
    port = free_port()
    with closing(opened("127.0.0.1:0")) as sockets:
        taken = sockets.of(0)[0].getsockname()[1]
        refused(f"127.0.0.1:{port}", f"unix:{tmp_path}/app.sock", f"127.0.0.1:{taken}")
    assert not (tmp_path / "app.sock").exists()
    opened(f"127.0.0.1:{port}").close()


def test_the_port_of_one_that_just_ended_is_free() -> None:
    """A restart does not wait for the connections of the one before to be forgotten (TIME_WAIT)."""
    with closing(opened("127.0.0.1:0")) as sockets:
        address = sockets.of(0)[0].getsockname()
        with socket.create_connection(address, timeout=10):
            sockets.of(0)[0].accept()[0].close()
    opened(f"127.0.0.1:{address[1]}").close()


@pytest.mark.parametrize(
    ("bind", "cause", "remedy"),
    [
        ("192.0.2.1:8000", "192.0.2.1 is not an address of this machine", "127.0.0.1"),
        ("no-such-host.invalid:8000", "not the name of an address", "--bind 127.0.0.1:8000"),
        ("unix:/nonexistent/app.sock", "there is no folder /nonexistent", "mkdir -p /nonexistent"),
        ("fd://999", "it is no socket", "systemd socket unit"),
    ],
)
def test_an_address_that_cannot_be_is_refused(bind: str, cause: str, remedy: str) -> None:
    """Each with its own cause and the next thing to type."""
    error = refused(bind)
    assert cause in error.cause
    assert remedy in error.remedy


def test_a_privileged_port_is_refused_with_another() -> None:
    """Without the privilege, port 80 becomes the suggestion 8080."""
    place = ports.Place(socket.AF_INET, ("127.0.0.1", 80))
    error = ports.refusal(place, PermissionError(13, "Permission denied"))
    assert "CAP_NET_BIND_SERVICE" in error.cause
    assert "--bind 127.0.0.1:8080" in error.remedy


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file nobody listens on does not stand in the way, and the own one is removed at the end."""
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    with closing(opened(f"unix:{path}")), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert not path.exists()


def test_a_unix_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    """Somebody listens: refused with the process, whose socket still works afterwards."""
    path = tmp_path / "app.sock"
    with closing(opened(f"unix:{path}")):
        error = refused(f"unix:{path}")
        assert f"(pid {os.getpid()})" in error.cause
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    """A path that leads to anything but a socket is refused, and still there."""
    path = tmp_path / "app.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    assert "not a socket" in refused(f"unix:{path}").cause
    assert path.is_symlink() or path.exists()


def test_a_successors_unix_socket_is_not_removed(tmp_path: Path) -> None:
    """At the end only the file that was made here goes."""
    path = tmp_path / "app.sock"
    sockets = opened(f"unix:{path}")
    path.unlink()
    with closing(opened(f"unix:{path}")):
        sockets.close()
        assert path.exists()


def test_a_unix_sockets_rights_follow_the_umask(tmp_path: Path) -> None:
    """Whoever may write to the socket is believed, so nobody is let in by default."""
    before = os.umask(0o077)
    try:
        with closing(opened(f"unix:{tmp_path}/app.sock")):
            assert (tmp_path / "app.sock").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_an_inherited_listener_is_shared_and_not_passed_on() -> None:
    """What systemd opened serves every slot; programs started later do not get it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        number = listener.detach()
        os.set_inheritable(number, True)
        with closing(opened(f"fd://{number}", inherited=(number,))) as sockets:
            assert sockets.of(0) == sockets.of(1)
            assert not os.get_inheritable(number)
            assert sockets.addresses == (f"127.0.0.1:{port} (fd://{number})",)
            assert not sockets.spread


def test_an_inherited_descriptor_that_does_not_listen_is_refused() -> None:
    """A socket that is not listening, and a datagram socket, are refused and stay open."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            assert "no listening stream socket" in refused(f"fd://{sock.fileno()}").cause
            assert sock.getsockname()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_both_wildcards_can_be_asked_for_together() -> None:
    """0.0.0.0 and [::] on the same port do not get into each other's way."""
    port = free_port()
    try:
        sockets = opened(f"0.0.0.0:{port}", f"[::]:{port}")
    except HotplateError as error:
        pytest.skip(str(error))
    with closing(sockets):
        assert sockets.addresses == (f"http://0.0.0.0:{port}", f"http://[::]:{port}")
