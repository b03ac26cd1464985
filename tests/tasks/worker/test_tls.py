"""A task worker and those who send to it, by TLS from end to end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotplate.tasks.app import Application
from hotplate.tasks.sending import BrokerUnreachable
from tests.support.brokers import Broker
from tests.support.servers import server_folder
from tests.support.services import Spec, accepts_connections, free_port, require, start
from tests.support.waiting import DEADLINE
from tests.tasks.worker.conftest import Serve

CHORES = "tests.tasks.worker.chores"

pytestmark = [pytest.mark.process, pytest.mark.redis]


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A Redis that speaks nothing but TLS; its certificate is named in its address, since nobody vouches for it."""
    with server_folder("redis") as folder:
        port, cert, key = free_port(), folder / "cert.pem", folder / "key.pem"
        certify(cert, key)
        options = {
            "port": 0, "tls-port": port, "tls-cert-file": cert, "tls-key-file": key, "tls-auth-clients": "no",
            "bind": "127.0.0.1", "dir": folder, "save": "",
        }  # fmt: skip
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        command = [str(require("redis-server", "valkey-server")), *arguments]
        spec = Spec(name="redis", command=command, folder=folder, is_ready=lambda: accepts_connections(port))
        with start(spec):
            url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={cert}"
            yield Broker(kind="redis", url=url, results=url)


def certify(cert: Path, key: Path) -> None:
    """Make a certificate for 127.0.0.1 that signs itself."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made = ["-keyout", str(key), "-out", str(cert)]
    command = [str(require("openssl")), "req", "-x509", *curve, "-nodes", "-days", "2", *names, *made]
    subprocess.run(command, check=True, capture_output=True)


def test_tasks_and_results_travel_by_tls(serve: Serve, client: Application) -> None:
    """What is sent is run, and its result is read; the worker keeps its name in the instance, as without TLS."""
    serve().connected()
    assert client.send_task(f"{CHORES}.add", (1, 2)).get(timeout=DEADLINE) == 3
    with client.connection_for_read() as connection:
        owners = connection.default_channel.client.hkeys("hotplate.owners")
    assert [name.partition(b"|")[0] for name in owners] == [b"hotplate-test-1@here"]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    client: Application, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a task nor a password is sent to whoever shows it, unless that is asked for."""
    plain = broker.url.partition("?")[0]
    monkeypatch.setenv("CELERY_BROKER_URL", plain)
    with pytest.raises(BrokerUnreachable, match="certificate verify failed"):
        Application("chores").send_task("any")
    monkeypatch.setenv("CELERY_BROKER_URL", f"{plain}?ssl_cert_reqs=none")
    with Application("chores").connection_for_write() as connection:
        assert connection.default_channel.client.ping()
