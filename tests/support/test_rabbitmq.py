"""A private RabbitMQ serves, comes back, and leaves no process behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import amqp
import psutil
import pytest

from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


def test_rabbitmq_serves_a_virtual_host_of_the_tests_own(rabbitmq_service: RabbitMQ) -> None:
    """Queues of one test are no other's, and go with it."""
    with rabbitmq_service.virtual_host() as one, rabbitmq_service.virtual_host() as other:
        for url in (one, other):
            with amqp.Connection(f"127.0.0.1:{rabbitmq_service.port}", virtual_host=url.rpartition("/")[2]) as client:
                assert client.channel().queue_declare("queue", durable=True).message_count == 0
        assert rabbitmq_service.eval("length(rabbit_amqqueue:list()).") == "2"
    assert rabbitmq_service.eval("length(rabbit_amqqueue:list()).") == "0"


def test_rabbitmq_listens_on_loopback_only(rabbitmq_service: RabbitMQ) -> None:
    """Neither the broker nor its port mapper can be reached from elsewhere."""
    listening = [
        connection.laddr.ip
        for pid in rabbitmq_service.pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.process
def test_rabbitmq_ends_with_those_who_started_it(tmp_path: Path) -> None:
    """A test run that is killed leaves neither Erlang nor its port mapper."""
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(Path.cwd())!r})
from tests.support.rabbitmq import rabbitmq_server
with rabbitmq_server(pathlib.Path({str(tmp_path)!r})) as server:
    print(*server.pids, flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        pids = [int(pid) for pid in runner.stdout.readline().split()]
        assert len(pids) == 2
        runner.kill()
    wait_until(lambda: not any(map(_runs, pids)), what="Erlang and its port mapper are gone")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
