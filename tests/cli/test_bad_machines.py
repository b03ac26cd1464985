"""What the machine does not allow: privileged ports for ordinary users, and too little memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hotplate.errors import ExitCode
from tests.cli.command import HELLO, Hotplate

_FIRST_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.mark.process
def test_a_privileged_port_is_not_for_ordinary_users(hotplate: Hotplate) -> None:
    """Below 1024 the line says who may, and which port to take instead; root loses the right to it for the test."""
    if int(_FIRST_UNPRIVILEGED.read_text()) <= 80:
        pytest.skip("this kernel gives every port to every user (net.ipv4.ip_unprivileged_port_start)")
    without_the_right = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
    hotplate.write(shop=HELLO)
    before = without_the_right if os.getuid() == 0 else ()
    done = hotplate.run("run", "shop:app", "--bind", "127.0.0.1:80", before=before)
    assert done.status == ExitCode.PORT_UNAVAILABLE, done.err
    for piece in ("listen on 127.0.0.1:80", "below 1024 are for root", "--bind 127.0.0.1:8080", "systemd"):
        assert piece in done.error


@pytest.mark.process
def test_no_memory_for_one_worker(hotplate: Hotplate) -> None:
    """Where not even one worker fits, the line says what it takes and what there is.

    The machine is made small as LXC does it: by another /proc/meminfo, in a mount namespace of the command's own.
    """
    meminfo = hotplate.folder / "meminfo"
    meminfo.write_text("".join(f"{name}: 49152 kB\n" for name in ("MemTotal", "MemFree", "MemAvailable")))
    small = ("unshare", *(() if os.getuid() == 0 else ("--map-root-user",)), "--mount", "sh", "-c")
    mounted = f"mount --bind {meminfo} /proc/meminfo"
    if subprocess.run([*small, mounted], check=False, capture_output=True).returncode:
        pytest.skip("mount namespaces are not allowed here")
    hotplate.write(shop=HELLO + "\nmodel = bytearray(b'x') * (64 * 1024 * 1024)\n")
    done = hotplate.run(
        "run", "shop:app", "--bind", "127.0.0.1:0", "--preload", "off", before=(*small, f'{mounted} && exec "$@"', "sh")
    )
    assert done.status == ExitCode.NO_MEMORY, done.err
    for piece in ("start a worker", "it needs", "48 MiB: machine", "Allow at least"):
        assert piece in done.error
