"""systemd: what it is told, and what it hands over, as its manual pages have it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.supervisor import systemd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def test_says_how_it_goes(manager: socket.socket) -> None:
    """Ready, reloading with the time, stopping and alive arrive as assignments, one per line."""
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "OTHER": "kept"}
    notifier = systemd.Notifier(environ)
    assert environ == {"OTHER": "kept"}
    notifier.ready("2 workers")
    notifier.reloading()
    notifier.stopping()
    notifier.alive()
    said = [manager.recv(4096).decode().split("\n") for _ in range(4)]
    assert said[0] == ["READY=1", "STATUS=2 workers"]
    assert said[1][0] == "RELOADING=1"
    assert said[1][1].removeprefix("MONOTONIC_USEC=").isdecimal()
    assert said[2][0] == "STOPPING=1"
    assert said[3] == ["WATCHDOG=1"]


@pytest.mark.skipif(sys.platform != "linux", reason="the abstract namespace is Linux's")
def test_finds_an_abstract_socket() -> None:
    """An address with @ is in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0hotplate-test-{os.getpid()}")
        manager.settimeout(10)
        systemd.Notifier({"NOTIFY_SOCKET": f"@hotplate-test-{os.getpid()}"}).notify("READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_a_missing_manager_is_no_trouble(environ: dict[str, str]) -> None:
    """Without a manager, or with a deaf one, nothing happens."""
    systemd.Notifier(environ).ready("2 workers")


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "mine"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_feeds_the_watchdog_at_half_its_time(environ: dict[str, str], interval: float) -> None:
    """sd_watchdog_enabled(3): half the interval, and only for the process that is meant."""
    environ = {name: value.replace("mine", str(os.getpid())) for name, value in environ.items()}
    assert systemd.Notifier(environ).watchdog_interval == interval
    assert not environ


@pytest.mark.parametrize(
    ("mine", "count", "descriptors"),
    [(True, "1", [3]), (True, "3", [3, 4, 5]), (False, "1", []), (True, "", []), (True, "-1", [])],
)
def test_takes_what_is_handed_to_this_process(mine: bool, count: str, descriptors: list[int]) -> None:
    """sd_listen_fds(3): from 3 on, for the process that is meant, and never passed on to children."""
    environ = {"LISTEN_PID": str(os.getpid() if mine else 1), "LISTEN_FDS": count, "LISTEN_FDNAMES": "http"}
    assert systemd.inherited(environ) == descriptors
    assert not environ
