"""The master as a service: what systemd hears and when, socket activation, and life without steering."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.supervisor import control
from tests.supervisor.instance import Instance
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance that is not started yet."""
    instance = Instance(tmp_path)
    yield instance
    instance.end()


class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.settimeout(0)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Return the first assignment of each message so far."""
        try:
            while True:
                self.heard.append(self.sock.recv(4096).decode().partition("\n")[0])
        except BlockingIOError:
            return self.heard


@pytest.fixture
def manager(instance: Instance) -> Iterator[Manager]:
    """A service manager."""
    manager = Manager(f"{instance.runtime}/notify")
    yield manager
    manager.sock.close()


def test_systemd_hears_each_step_in_its_order(instance: Instance, manager: Manager) -> None:
    """Ready only when every worker is warm; a reload begins and ends, also a failed one; then stopping."""
    instance.start(NOTIFY_SOCKET=manager.address)
    wait_until(manager.listen, what="systemd is told something")
    assert len(instance.events("WorkerReady")) == 2
    assert manager.listen() == ["READY=1"]
    instance.ask(control.Reload())
    instance.script(**{"import": "fail"})
    with pytest.raises(HotplateError):
        instance.ask(control.Reload())
    instance.ask(control.Stop())
    assert manager.listen() == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_a_start_that_fails_is_never_ready(instance: Instance, manager: Manager) -> None:
    """Systemd sees a service that ended, not one that was ready and crashed."""
    instance.script(boot="fail")
    assert instance.start(NOTIFY_SOCKET=manager.address).wait() == ExitCode.WARMUP_FAILED
    assert manager.listen() == ["STOPPING=1"]


def test_the_watchdog_is_fed(instance: Instance, manager: Manager) -> None:
    """While workers serve, systemd hears again and again that all is well."""
    instance.start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="1000000").serving()
    wait_until(lambda: manager.listen().count("WATCHDOG=1") >= 3, what="the watchdog is fed three times")


def test_a_listener_of_systemd_is_served_instead_of_the_default(instance: Instance) -> None:
    """What connected before the start is answered; workers see none of systemd's variables."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as early:
            early.sendall(b"GET / HTTP/1.0\r\n\r\n")
            instance.start("bind=fd://3", listener=listener.fileno()).serving()
            assert early.recv(100).startswith(b"HTTP/1.0 200")
    assert instance.event("Listening")["addresses"] == [f"127.0.0.1:{port} (fd://3)"]
    assert "one listener is shared" in instance.status().steering
    instance.ask(control.Reload())
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")


def test_an_idle_activated_service_ends(instance: Instance) -> None:
    """Systemd holds the socket and starts it again, so with `--idle-timeout` the whole process ends, with status 0."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        instance.start("bind=fd://3", "idle_timeout=1s", listener=listener.fileno()).serving()
        assert instance.wait() == ExitCode.OK
        assert instance.event("Draining")["why"].startswith("no request for")
        with socket.create_connection(listener.getsockname(), timeout=60):
            pass
